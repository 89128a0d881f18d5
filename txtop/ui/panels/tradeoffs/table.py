"""The points of a plot as text: a table, and a line about one of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import get_series_role, get_series_sign
from txtop.ui.drawing.scrolling import compute_first_row
from txtop.ui.drawing.spans import Row, crop, fit, measure_row
from txtop.ui.models.tradeoffs.groups import PlotKind
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint

MAX_NAME_WIDTH = 18
MIN_TABLE_WIDTH = 40
TIME_WIDTH, RATE_WIDTH = 10, 9
LABEL_COLUMNS = {
    "rates": ("batch", 5),
    "lengths": ("length", 7),
    "precisions": ("", 0),
    "accuracy": ("", 0),
    "load": ("offered", 10),
}
LAST_COLUMNS = {
    "rates": ("Pareto", 9),
    "lengths": ("times", 9),
    "precisions": ("", 0),
    "accuracy": ("Pareto", 9),
    "load": ("", 11),
}


def compute_name_width(plot: TradeoffPlot) -> int:
    """Return the columns of the line names, gap included."""
    return min(MAX_NAME_WIDTH, max((len(name) for name in plot.lines), default=4)) + 1


def compute_table_width(plot: TradeoffPlot) -> int:
    """Return the columns that the table needs."""
    ends = LABEL_COLUMNS[plot.kind][1] + TIME_WIDTH + RATE_WIDTH + LAST_COLUMNS[plot.kind][1]
    return max(MIN_TABLE_WIDTH, 4 + compute_name_width(plot) + ends)


@dataclass(frozen=True)
class PointTable:
    """Rows, and for each the index of its point."""

    rows: list[Row]
    points: list[int | None]

    def at(self, line: int) -> int | None:
        """Return the point of a row; None for a heading and beyond the end."""
        return self.points[line] if 0 <= line < len(self.points) else None


def render_point_table(plot: TradeoffPlot, area: Area, cursor: int | None) -> PointTable:
    """Render every point of a plot, the one under the cursor in view."""
    name = compute_name_width(plot)
    beside, wide = LABEL_COLUMNS[plot.kind]
    head = "    " + fit(_choose_line_heading(plot), name) + fit(beside, wide, "right")
    head += (
        fit(plot.time_head, TIME_WIDTH, "right")
        + fit(plot.unit, RATE_WIDTH, "right")
        + "  "
        + LAST_COLUMNS[plot.kind][0]
    )
    room = max(0, area.height - 1)
    first = compute_first_row(cursor, len(plot.points), room)
    rows: list[Row] = [[(head, "muted")]]
    points: list[int | None] = [None]
    for i, point in enumerate(plot.points[first : first + room], start=first):
        rows.append(_render_point(point, plot.kind, name, wide, area.glyphs, at_cursor=i == cursor))
        points.append(i)
    return PointTable([crop(row, area.width) for row in rows], points)


def _choose_line_heading(plot: TradeoffPlot) -> str:
    return "prec" if all(p.name == p.row.precision for p in plot.points) else ""


def _render_point(
    point: TradeoffPoint, kind: PlotKind, name: int, wide: int, g: Glyphs, *, at_cursor: bool
) -> Row:
    bold = ".bold" if at_cursor else ""
    quiet = "text" if point.front or at_cursor or kind in ("lengths", "load") else "muted"
    loud = "text.bold" if point.front or at_cursor else quiet
    # What costs the output its meaning is no success.
    best = "text" if point.badge_role in ("warn", "bad") else "ok"
    last = best if point.front else "muted" if point.running else quiet
    last = "warn" if point.saturated else last
    return [
        (g("▸ ") if at_cursor else "  ", "accent-a.bold"),
        (
            get_series_sign(point.line, g, hollow=not point.settled) + " ",
            get_series_role(point.line),
        ),
        (fit(point.name, name - 1, mark=g("…")) + " ", quiet + bold),
        (fit(point.label, wide, "right"), quiet + bold),
        (fit(g(point.time), TIME_WIDTH, "right"), quiet + bold),
        (fit(g(point.row.rate), RATE_WIDTH, "right"), loud),
        ("  " + g(point.beside), last),
    ]


def render_point_line(
    point: TradeoffPoint, plot: TradeoffPlot, width: int, g: Glyphs, *, named: bool = False
) -> Row:
    """Render the figures and remarks of a cell in the fullest form that fits; `named` puts its name
    first. No ratio stands without a badge."""
    row = point.row
    what = "" if plot.kind == "load" else LABEL_COLUMNS[plot.kind][0]
    name = f"{point.name} {what} {point.label}".replace("  ", " ").strip()
    first: Row = [
        (f"{g(name)}   " if named else "", "text.bold"),
        (
            g(row.rate),
            "bad.bold" if row.state == "failed" else f"{get_series_role(point.line)}.bold",
        ),
        (f" {plot.unit}", "muted"),
    ]
    if point.time:
        first += [("   ", "muted"), (g(point.time), "text.bold"), (f" {plot.time_unit}", "muted")]
    memory: Row = [("   ", "muted"), (g(row.gib), "text.bold"), (" GiB", "muted")]
    remarks: list[Row] = [[("   ", "muted"), (g(text), "text")] for text in point.said]
    worth = [] if plot.kind == "load" else _render_outputs(point, g)
    none: list[Row] = [[]]
    # The output badge is dropped last: a place on the front only shows that a cell is fast.
    pairs = chain(product(worth, remarks), product(worth, none), product(none, [*remarks, []]))
    rows = ([*first, *more, *output, *remark] for output, remark in pairs for more in (memory, []))
    return next((form for form in rows if measure_row(form) <= width), crop(first, width))


def _render_outputs(point: TradeoffPoint, g: Glyphs) -> list[Row]:
    """Return the speedup over the reference, with the badge in each of its forms."""
    row = point.row
    if point.is_reference:
        return [[("   reference", "muted")]]
    of = f" {point.reference}  " if point.reference else "  "
    ratio: Row = [("   ", "muted"), (row.ratio, "text.bold"), (of, "muted")]
    return [[*ratio, (g(badge), point.badge_role)] for badge in row.badges]
