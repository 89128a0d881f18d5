"""A plot of the trade-offs as plain values: its points, its axes, its texts."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs.groups import PlotKind

PLOT_TITLES: dict[PlotKind, str] = {
    "rates": "throughput against latency",
    "lengths": "time against length",
    "precisions": "precisions",
    "accuracy": "accuracy against throughput",
    "load": "throughput under load",
}


@dataclass(frozen=True)
class TradeoffPoint:
    """A cell in a plot.

    `x` and `y` are values on its axes; among precisions, the speed-up over the reference and the
    rate. `title` names the cell and `name` its line; `label` is its batch, its length or its work.
    `beside` is its text in the last column of the table, `said` a remark on it, longest wording
    first. `front` makes it stand out: nothing beats it, or it is the knee. A `loose` point is on no
    line: clients that wait for an answer do not queue. `costs` are heading, text and value of what
    less is better of, among precisions alone.
    """

    row: CellRow
    title: str
    name: str
    line: int
    x: float
    y: float
    label: str
    time: str
    reference: str = ""
    badge_role: str = "muted"
    front: bool = False
    saturated: bool = False
    loose: bool = False
    beside: str = ""
    said: tuple[str, ...] = ()
    costs: tuple[tuple[str, str, float], ...] = ()

    @property
    def running(self) -> bool:
        """Return True if the cell is still being measured."""
        return self.row.state == "running"

    @property
    def settled(self) -> bool:
        """Return True if a longer measurement would hardly move the point."""
        unsettled = self.running or self.saturated
        return not unsettled and self.row.standing not in ("doubtful", "busy")

    @property
    def is_reference(self) -> bool:
        """Return True if the other precisions of the same work are compared with it."""
        return self.row.is_reference


@dataclass(frozen=True)
class TradeoffPlot:
    """One plot; its points are in the order of its table.

    `of` names what they share and other plots have otherwise. `x_name` and `y_name` are the
    quantities of the axes, `unit` that of rates; `time_head` and `time_unit` name a time in a table
    and in a sentence. `ceilings` are heights that cannot be exceeded, with the reason, and
    `budgets` the times that an SLO allows; `remarks` concern the plot as a whole. `session_cells`
    counts the cells of the session: others than the points may stand in another plot or in none.
    """

    kind: PlotKind
    of: str
    lines: tuple[str, ...]
    points: tuple[TradeoffPoint, ...]
    x_name: str = ""
    y_name: str = ""
    unit: str = "tok/s"
    time_head: str = "ms/token"
    time_unit: str = "ms per token"
    left_out: str = ""
    ceilings: tuple[tuple[float, str], ...] = ()
    budgets: tuple[tuple[float, str], ...] = ()
    remarks: tuple[str, ...] = ()
    session_cells: int = 0

    @property
    def title(self) -> str:
        """Return the title: the kind of the plot, and what its cells share."""
        return f"{PLOT_TITLES[self.kind]} · {self.of}" if self.of else PLOT_TITLES[self.kind]

    @property
    def key(self) -> tuple[str, str]:
        """Return the key under which a person's choice is kept while cells end and plots come."""
        return self.kind, self.of


@dataclass(frozen=True)
class TradeoffsView:
    """Every plot that has points; `at` is the index of the one with the running cell.

    `absent` are title and reason of each kind without a plot.
    """

    plots: tuple[TradeoffPlot, ...] = ()
    at: int = 0
    absent: tuple[tuple[str, str], ...] = ()


NO_TRADEOFFS = TradeoffsView()
