"""The trade-offs as a panel: a plot, a table beside or under it, and the point under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import ScatterPlot, get_series_role, get_series_sign
from txtop.ui.drawing.spans import Row, fit, fit_block, measure_row
from txtop.ui.models.layout import PanelRegion
from txtop.ui.models.tradeoffs.build import TOO_FEW_MEASURED, TOO_FEW_YET
from txtop.ui.models.tradeoffs.groups import AB_REASON
from txtop.ui.models.tradeoffs.plot import PLOT_TITLES, TradeoffPlot, TradeoffPoint, TradeoffsView
from txtop.ui.panels.tradeoffs.plot import build_scatter
from txtop.ui.panels.tradeoffs.precision_bars import render_precision_bars
from txtop.ui.panels.tradeoffs.table import (
    PointTable,
    compute_table_width,
    render_point_line,
    render_point_table,
)

BESIDE_FROM = 100
TABLE_SHARE = 0.42
MIN_PLOT_ROWS, MIN_TABLE_ROWS = 8, 4
NAME_WIDTH = 28
ORDER_NAMES = {"rates": "latency", "lengths": "length", "precisions": "precision", "load": "load"}
OPTION_HINTS = {
    PLOT_TITLES["rates"]: "--batch-sizes 1 8 32",
    PLOT_TITLES["lengths"]: "--sequence-lengths 128 256 512",
    PLOT_TITLES["precisions"]: "--precisions fp32 bf16",
    PLOT_TITLES["load"]: "--scenario dynamic continuous --rate sweep",
}


@dataclass(frozen=True)
class TradeoffsSelection:
    """What of the trade-offs is on show: a plot and the place of the point under the cursor.

    `whole` says that the panel has all the room: then the table stands beside the plot.
    """

    all: TradeoffsView
    at: int = 0
    cursor: int | None = None
    whole: bool = True
    focused: bool = False

    @property
    def plot(self) -> TradeoffPlot | None:
        return self.all.plots[self.at] if self.at < len(self.all.plots) else None

    @property
    def point(self) -> TradeoffPoint | None:
        plot = self.plot
        return plot.points[self.cursor] if plot is not None and self.cursor is not None else None


def arrange_tradeoffs(
    shown: TradeoffsSelection, width: int, height: int, *, boxed: bool
) -> dict[str, PanelRegion]:
    """Where in the panel the plot (or the bars), the table and the point under the cursor are; the
    table goes first where there is little room, then the point."""
    plot = shown.plot
    if not shown.whole or plot is None:
        return {"plot": PanelRegion(0, 0, width, height)}
    below = 3 if boxed else 2
    below = below if height >= MIN_PLOT_ROWS + below else 0
    down = height - below
    places = {"plot": PanelRegion(0, 0, width, down)}
    right = min(compute_table_width(plot) + (4 if boxed else 2), width // 2)
    under = min(len(plot.points) + 2, round(TABLE_SHARE * down), down - MIN_PLOT_ROWS)
    if plot.kind == "precisions":
        pass
    elif width >= BESIDE_FROM:
        places["plot"] = PanelRegion(0, 0, width - right, down)
        places["table"] = PanelRegion(width - right, 0, right, down)
    elif under >= MIN_TABLE_ROWS:
        places["plot"] = PanelRegion(0, 0, width, down - under)
        places["table"] = PanelRegion(0, down - under, width, under)
    if below:
        places["point"] = PanelRegion(0, down, width, below)
    return places


def render_tradeoffs(
    shown: TradeoffsSelection, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """Exactly `height` rows of `width` columns."""
    plot = shown.plot
    if plot is None:
        return fit_block(_render_empty(shown, width, height, g, boxed=boxed), width, height)
    places = arrange_tradeoffs(shown, width, height, boxed=boxed)
    rows = _render_plot(shown, plot, places["plot"], g, boxed=boxed)
    if at := places.get("table"):
        listed = _render_table(shown, plot, at, g, boxed=boxed)
        beside = at.y == 0
        rows = [[*a, *b] for a, b in zip(rows, listed, strict=True)] if beside else rows + listed
    if at := places.get("point"):
        rows += _render_point(shown, plot, at, g, boxed=boxed)
    return fit_block(rows, width, height)


def find_point(
    shown: TradeoffsSelection, width: int, height: int, g: Glyphs, *, boxed: bool, x: int, y: int
) -> int | None:
    """The place of the point that a click there means: on its sign, or on its row."""
    plot = shown.plot
    if plot is None:
        return None
    for name, at in arrange_tradeoffs(shown, width, height, boxed=boxed).items():
        across, down = compute_inner_size(at.width, at.height, boxed)
        column, row = x - at.x - (2 if boxed else 1), y - at.y - 1
        if not (0 <= column < across and 0 <= row < down):
            continue
        room = _count_plot_rows(shown, down)
        if name == "table":
            return _render_listing(shown, plot, across, down, g).at(row)
        if name == "plot" and plot.kind == "precisions":
            return _render_listing(shown, plot, across, room, g).at(row)
        if name == "plot":
            return ScatterPlot(build_scatter(plot, shown.cursor), across, room, g).nearest(
                column, row
            )
    return None


def _render_plot(
    shown: TradeoffsSelection, plot: TradeoffPlot, at: PanelRegion, g: Glyphs, *, boxed: bool
) -> list[Row]:
    across, down = compute_inner_size(at.width, at.height, boxed)
    room = _count_plot_rows(shown, down)
    if plot.kind == "precisions":
        body = _render_listing(shown, plot, across, room, g).rows
        body += _render_remarks(shown, plot, across, room - len(body), g) if shown.whole else []
    else:
        body = ScatterPlot(build_scatter(plot, shown.cursor), across, room, g).rows(shown.cursor)
    if room < down and shown.point is not None:
        line = render_point_line(shown.point, plot, across, g, named=True)
        body = [*fit_block(body, across, room), line]
    subtitle = _render_legend(shown, plot, at.width - measure_row([(plot.title, "")]) - 14, g)
    return draw_frame(
        g(plot.title), subtitle, body, at.width, at.height, g, boxed=boxed, focused=shown.focused
    )


def _render_table(
    shown: TradeoffsSelection, plot: TradeoffPlot, at: PanelRegion, g: Glyphs, *, boxed: bool
) -> list[Row]:
    across, down = compute_inner_size(at.width, at.height, boxed)
    body = _render_listing(shown, plot, across, down, g).rows
    body += _render_remarks(shown, plot, across, down - len(body), g)
    by: Row = [(f"{len(plot.points)} by {ORDER_NAMES[plot.kind]}", "muted")]
    return draw_frame("cells", by, body, at.width, at.height, g, boxed=boxed)


def _render_listing(
    shown: TradeoffsSelection, plot: TradeoffPlot, width: int, height: int, g: Glyphs
) -> PointTable:
    rows = render_precision_bars if plot.kind == "precisions" else render_point_table
    return rows(plot, width, height, g, shown.cursor)


def _count_plot_rows(shown: TradeoffsSelection, down: int) -> int:
    """Rows of the plot: in a corner the last one goes to the point under the cursor."""
    takes = not shown.whole and shown.point is not None and down > MIN_PLOT_ROWS
    return down - 1 if takes else down


def _render_legend(shown: TradeoffsSelection, plot: TradeoffPlot, room: int, g: Glyphs) -> Row:
    """The signs of the lines (of bars, how many there are), and how to get to the next plot; the
    signs first where there is little room."""
    signs: Row = []
    if plot.kind == "precisions":
        signs = [(f"{len(plot.points)} cells", "muted")]
    else:
        for i, name in enumerate(plot.lines):
            signs += [
                ("  " if signs else "", "muted"),
                (get_series_sign(i, g), get_series_role(i)),
                (f" {name}", "muted"),
            ]
    count = len(shown.all.plots)
    pages: Row = [("v", "accent-a.bold"), (f" {shown.at + 1} of {count}", "muted")]
    pages = pages if count > 1 else []
    both: Row = [*signs, ("   ", "muted"), *pages] if signs and pages else [*signs, *pages]
    return next((row for row in (both, signs, pages) if row and measure_row(row) <= room), [])


def _render_point(
    shown: TradeoffsSelection, plot: TradeoffPlot, at: PanelRegion, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """The cell under the cursor: its name, its figures, and where it stands."""
    point = shown.point
    across, _ = compute_inner_size(at.width, at.height, boxed)
    if point is None:
        hint: Row = [("3", "accent-a.bold"), (" and the arrows choose a cell", "muted")]
        return draw_frame("no cell", [], [hint], at.width, at.height, g, boxed=boxed)
    said = render_point_line(point, plot, across, g)
    under: Row = [("selected", "muted")]
    return draw_frame(g(point.title), under, [said], at.width, at.height, g, boxed=boxed)


def _render_remarks(
    shown: TradeoffsSelection, plot: TradeoffPlot, width: int, height: int, g: Glyphs
) -> list[Row]:
    """What the plot leaves out, and why there are no others; as far as there is room."""
    lines: list[str] = [f"left out: {plot.left_out}"] if plot.left_out else []
    lines += plot.remarks
    for title, why in shown.all.absent:
        short = len(title) + 2 + len(why) <= width
        lines += [f"{title}: {why}"] if short else [f"{title}:", f"  {why}"]
    rows: list[Row] = [[(fit(g(text), width, mark=g("…")), "muted")] for text in lines]
    return [[], *rows][: max(0, height)] if rows else []


def _render_empty(
    shown: TradeoffsSelection, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """No plot has points: why, and what would give it some."""
    across, _ = compute_inner_size(width, height, boxed)
    beside = across >= NAME_WIDTH + 40
    body: list[Row] = [[("no trade-off to plot yet", "text.bold")]]
    for title, why in shown.all.absent:
        name: Row = [(fit(title, NAME_WIDTH) if beside else title, "text")]
        said: Row = [(g(why), "muted")]
        body += [[], [*name, *said]] if beside else [[], name, said]
        if title in OPTION_HINTS and why not in (TOO_FEW_YET, TOO_FEW_MEASURED, AB_REASON):
            indent: Row = [(" " * NAME_WIDTH if beside else "", "text")]
            body.append([*indent, (f"txtop run {OPTION_HINTS[title]}", "muted")])
    return draw_frame("trade-offs", [], body, width, height, g, boxed=boxed, focused=shown.focused)
