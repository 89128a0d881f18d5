"""The trade-offs panel: a plot, a table beside or under it, and the point under the cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import NAMED_BELOW_FROM, ScatterPlot, get_series_role, get_series_sign
from txtop.ui.drawing.spans import Row, fit, fit_block, measure_row
from txtop.ui.models.layout import PanelRegion
from txtop.ui.models.tradeoffs.build import TOO_FEW_MEASURED, TOO_FEW_YET
from txtop.ui.models.tradeoffs.groups import AB_REASON
from txtop.ui.models.tradeoffs.plot import PLOT_TITLES, TradeoffPlot, TradeoffPoint, TradeoffsView
from txtop.ui.panels.tradeoffs.plot import build_scatter, explain_labels
from txtop.ui.panels.tradeoffs.point_bars import count_bar_rows, render_point_bars
from txtop.ui.panels.tradeoffs.precision_bars import render_cost_bars, render_precision_bars
from txtop.ui.panels.tradeoffs.table import (
    PointTable,
    compute_table_width,
    render_point_line,
    render_point_table,
)

BESIDE_FROM = 100
TABLE_SHARE = 0.39
MIN_PLOT_ROWS, MIN_TABLE_ROWS = 8, 4
NAME_WIDTH = 28
ORDER_NAMES = {
    "rates": "latency",
    "lengths": "length",
    "precisions": "precision",
    "accuracy": "loss",
    "load": "load",
}
OPTION_HINTS = {
    PLOT_TITLES["rates"]: "--batch-sizes 1 8 32",
    PLOT_TITLES["lengths"]: "--sequence-lengths 128 256 512",
    PLOT_TITLES["precisions"]: "--precisions fp32 bf16",
    PLOT_TITLES["accuracy"]: "--precisions fp32 int8 --task facts",
    PLOT_TITLES["load"]: "--scenario dynamic continuous --rate sweep",
}


@dataclass(frozen=True)
class TradeoffsSelection:
    """The visible plot and the index of the point under the cursor.

    `zoomed` means that the panel is zoomed, so that the table stands beside the plot.
    """

    all: TradeoffsView
    at: int = 0
    cursor: int | None = None
    zoomed: bool = True

    @property
    def plot(self) -> TradeoffPlot | None:
        return self.all.plots[self.at] if self.at < len(self.all.plots) else None

    @property
    def point(self) -> TradeoffPoint | None:
        plot = self.plot
        return plot.points[self.cursor] if plot is not None and self.cursor is not None else None


def arrange_tradeoffs(selection: TradeoffsSelection, area: Area) -> dict[str, PanelRegion]:
    """Return the regions of the plot (or the bars), the table and the point under the cursor;
    without room the table is dropped first, then the point."""
    plot = selection.plot
    if not selection.zoomed or plot is None:
        return {"plot": PanelRegion(0, 0, area.width, area.height)}
    below = 3 if area.boxed else 2
    below = below if area.height >= MIN_PLOT_ROWS + below else 0
    down = area.height - below
    places = {"plot": PanelRegion(0, 0, area.width, down)}
    right = min(compute_table_width(plot) + (4 if area.boxed else 2), area.width // 2)
    under = min(len(plot.points) + 2, round(TABLE_SHARE * down), down - MIN_PLOT_ROWS)
    if plot.kind == "precisions":
        pass
    elif area.width >= BESIDE_FROM:
        places["plot"] = PanelRegion(0, 0, area.width - right, down)
        places["table"] = PanelRegion(area.width - right, 0, right, down)
    elif under >= MIN_TABLE_ROWS:
        places["plot"] = PanelRegion(0, 0, area.width, down - under)
        places["table"] = PanelRegion(0, down - under, area.width, under)
    if below:
        places["point"] = PanelRegion(0, down, area.width, below)
    return places


def render_tradeoffs(selection: TradeoffsSelection, area: Area) -> list[Row]:
    """Render exactly `area.height` rows of `area.width` columns."""
    plot = selection.plot
    if plot is None:
        return fit_block(_render_empty(selection, area), area.width, area.height)
    places = arrange_tradeoffs(selection, area)
    rows = _render_plot(selection, plot, _get_part(area, places["plot"], focused=area.focused))
    if at := places.get("table"):
        listed = _render_table(selection, plot, _get_part(area, at))
        beside = at.y == 0
        rows = [[*a, *b] for a, b in zip(rows, listed, strict=True)] if beside else rows + listed
    if at := places.get("point"):
        rows += _render_point(selection, plot, _get_part(area, at))
    return fit_block(rows, area.width, area.height)


def find_point(selection: TradeoffsSelection, area: Area, *, x: int, y: int) -> int | None:
    """Return the index of the point under a click, on its sign or on its row."""
    plot = selection.plot
    if plot is None:
        return None
    for name, at in arrange_tradeoffs(selection, area).items():
        inside = _get_part(area, at).inside
        column, row = x - at.x - (2 if area.boxed else 1), y - at.y - 1
        if not (0 <= column < inside.width and 0 <= row < inside.height):
            continue
        room = replace(inside, height=_count_plot_rows(selection, inside.height))
        if name == "table":
            return _render_listing(selection, plot, inside).at(row)
        if name == "plot" and plot.kind == "precisions":
            return _render_listing(selection, plot, room).at(row)
        if name == "plot":
            scatter = _get_scatter_area(plot, room)
            return _build_plot(selection, plot, scatter).nearest(column, row)
    return None


def _get_part(area: Area, at: PanelRegion, *, focused: bool = False) -> Area:
    return replace(area, width=at.width, height=at.height, focused=focused)


def _build_plot(selection: TradeoffsSelection, plot: TradeoffPlot, area: Area) -> ScatterPlot:
    return ScatterPlot(build_scatter(plot, selection.cursor), area.width, area.height, area.glyphs)


def _get_scatter_area(plot: TradeoffPlot, area: Area) -> Area:
    """Return the part of the plot's area that bars leave to the points."""
    return replace(area, height=area.height - count_bar_rows(plot, area))


def _render_plot(selection: TradeoffsSelection, plot: TradeoffPlot, area: Area) -> list[Row]:
    g, inside = area.glyphs, area.inside
    room = replace(inside, height=_count_plot_rows(selection, inside.height))
    if plot.kind == "precisions":
        body = _render_listing(selection, plot, room).rows
        if selection.zoomed:
            remarks = _render_remarks(selection, plot, room, len(body))
            left = replace(room, height=room.height - len(body) - len(remarks))
            body += [*render_cost_bars(plot, left, selection.cursor), *remarks]
    else:
        body = _build_plot(selection, plot, _get_scatter_area(plot, room)).rows(selection.cursor)
        if count_bar_rows(plot, room):
            body += render_point_bars(plot, room, selection.cursor)
    if room.height < inside.height and selection.point is not None:
        line = render_point_line(selection.point, plot, inside.width, g, named=True)
        body = [*fit_block(body, room.width, room.height), line]
    free = area.width - measure_row([(plot.title, "")]) - 14
    subtitle = _render_legend(selection, plot, free, room.height, g)
    return draw_frame(g(plot.title), subtitle, body, area)


def _render_table(selection: TradeoffsSelection, plot: TradeoffPlot, area: Area) -> list[Row]:
    body = _render_listing(selection, plot, area.inside).rows
    body += _render_remarks(selection, plot, area.inside, len(body))
    by: Row = [(f"{len(plot.points)} by {ORDER_NAMES[plot.kind]}", "muted")]
    return draw_frame("cells", by, body, area)


def _render_listing(selection: TradeoffsSelection, plot: TradeoffPlot, area: Area) -> PointTable:
    rows = render_precision_bars if plot.kind == "precisions" else render_point_table
    return rows(plot, area, selection.cursor)


def _count_plot_rows(selection: TradeoffsSelection, down: int) -> int:
    """Return the rows of the plot; in a corner the last row goes to the point under the cursor."""
    takes = not selection.zoomed and selection.point is not None and down > MIN_PLOT_ROWS
    return down - 1 if takes else down


def _render_legend(
    selection: TradeoffsSelection, plot: TradeoffPlot, room: int, down: int, g: Glyphs
) -> Row:
    """Render the signs of the lines (or the count of bars) and the position among the plots;
    without room the signs stay. A plot of few rows `down` has no other place for its legend."""
    signs: Row = []
    numbers: Row = []
    if (labels := explain_labels(plot)) and down < NAMED_BELOW_FROM:
        numbers = [(f"   {labels}", "muted")]
    if plot.kind == "precisions":
        n = len(plot.points)
        of = f" of {plot.session_cells}" if n < plot.session_cells else ""
        signs = [(f"{n}{of} cells", "muted")]
    else:
        for i, name in enumerate(plot.lines):
            signs += [
                ("  " if signs else "", "muted"),
                (get_series_sign(i, g), get_series_role(i)),
                (f" {name}", "muted"),
            ]
    count = len(selection.all.plots)
    pages: Row = [("v", "accent-a.bold"), (f" {selection.at + 1} of {count}", "muted")]
    pages = pages if count > 1 else []
    both: Row = [*signs, ("   ", "muted"), *pages] if signs and pages else [*signs, *pages]
    whole: Row = [*signs, *numbers, *([("   ", "muted")] if pages else []), *pages]
    forms = (whole, [*signs, *numbers], both, signs, pages)
    return next((row for row in forms if row and measure_row(row) <= room), [])


def _render_point(selection: TradeoffsSelection, plot: TradeoffPlot, area: Area) -> list[Row]:
    """Render the cell under the cursor: its name and its figures."""
    point = selection.point
    if point is None:
        hint: Row = [("3", "accent-a.bold"), (" and the arrows choose a cell", "muted")]
        return draw_frame("no cell", [], [hint], area)
    line = render_point_line(point, plot, area.inside.width, area.glyphs)
    under: Row = [("selected", "muted")]
    return draw_frame(area.glyphs(point.title), under, [line], area)


def _render_remarks(
    selection: TradeoffsSelection, plot: TradeoffPlot, area: Area, used: int
) -> list[Row]:
    """Render the points left out and the reasons for absent plots, in the rows that `used`
    leaves."""
    g = area.glyphs
    lines: list[str] = [f"left out: {plot.left_out}"] if plot.left_out else []
    lines += plot.remarks
    for title, why in selection.all.absent:
        short = len(title) + 2 + len(why) <= area.width
        lines += [f"{title}: {why}"] if short else [f"{title}:", f"  {why}"]
    rows: list[Row] = [[(fit(g(text), area.width, mark=g("…")), "muted")] for text in lines]
    return [[], *rows][: max(0, area.height - used)] if rows else []


def _render_empty(selection: TradeoffsSelection, area: Area) -> list[Row]:
    """Render the reasons that no plot has points, and the options that would add some."""
    inside = area.inside
    beside = inside.width >= NAME_WIDTH + 40
    body: list[Row] = [[("no trade-off to plot yet", "text.bold")]]
    for title, why in selection.all.absent:
        name: Row = [(fit(title, NAME_WIDTH) if beside else title, "text")]
        reason: Row = [(area.glyphs(why), "muted")]
        body += [[], [*name, *reason]] if beside else [[], name, reason]
        if title in OPTION_HINTS and why not in (TOO_FEW_YET, TOO_FEW_MEASURED, AB_REASON):
            indent: Row = [(" " * NAME_WIDTH if beside else "", "text")]
            body.append([*indent, (f"txtop run {OPTION_HINTS[title]}", "muted")])
    return draw_frame("trade-offs", [], body, area)
