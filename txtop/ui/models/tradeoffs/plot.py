"""A plot of the trade-offs as plain values: its points, its axes, its words."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs.groups import PlotKind

PLOT_TITLES: dict[PlotKind, str] = {
    "rates": "throughput against latency",
    "lengths": "time against length",
    "precisions": "precisions",
    "load": "throughput under load",
}


@dataclass(frozen=True)
class TradeoffPoint:
    """A cell in a plot. `x` and `y` are those of its axes; of precisions, times as fast as the
    reference and the rate.

    `title` names the cell and `name` its line; `label` is its batch, its length or its work,
    `beside` what stands in the last column of the table, `said` what is to be said of it, from the
    longest form to the shortest. `front` lets it stand out: nothing beats it, or it is the knee.
    One that is `loose` is on no line: clients that wait for an answer do not queue.
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

    @property
    def running(self) -> bool:
        return self.row.state == "running"

    @property
    def settled(self) -> bool:
        """Whether it would be much the same had it been measured for longer."""
        return not self.running and not self.saturated

    @property
    def is_reference(self) -> bool:
        """Whether the others of its work are held against it."""
        return self.reference == self.row.precision


@dataclass(frozen=True)
class TradeoffPlot:
    """One plot; its points are in the order of its table. `of` is what they share and others have
    otherwise.

    `x_name` and `y_name` say what the axes count, `unit` what the rates do, `time_head` and
    `time_unit` what times are in a table and in a sentence, `ceilings` which heights cannot be
    exceeded, and why, `remarks` what is to be said of it as a whole.
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
    remarks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{PLOT_TITLES[self.kind]} · {self.of}" if self.of else PLOT_TITLES[self.kind]

    @property
    def key(self) -> tuple[str, str]:
        """By which a person's choice is kept while cells end and plots come."""
        return self.kind, self.of


@dataclass(frozen=True)
class TradeoffsView:
    """Every plot that has points; `at` is that of the cell at work. `absent` says of each kind
    without a plot its title and why."""

    plots: tuple[TradeoffPlot, ...] = ()
    at: int = 0
    absent: tuple[tuple[str, str], ...] = ()


NO_TRADEOFFS = TradeoffsView()
