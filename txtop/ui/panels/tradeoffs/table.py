"""The points of a plot for who would rather read: a table, and a line about one of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, product

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import role, sign
from txtop.ui.drawing.spans import Row, crop, fit, row_width
from txtop.ui.models.tradeoffs.groups import Kind
from txtop.ui.models.tradeoffs.plot import Plot, Point
from txtop.ui.panels.cells import first_row

MOST_NAME = 18
LEAST_TABLE = 40
TIME, RATE = 10, 9
BESIDE = {
    "rates": ("batch", 5),
    "lengths": ("length", 7),
    "precisions": ("", 0),
    "load": ("offered", 10),
}
LAST = {"rates": ("", 7), "lengths": ("times", 9), "precisions": ("", 0), "load": ("", 11)}


def name_width(plot: Plot) -> int:
    """Columns that the names of the lines take, a gap included."""
    return min(MOST_NAME, max((len(name) for name in plot.lines), default=4)) + 1


def table_width(plot: Plot) -> int:
    """Columns that the table wants."""
    ends = BESIDE[plot.kind][1] + TIME + RATE + LAST[plot.kind][1]
    return max(LEAST_TABLE, 4 + name_width(plot) + ends)


@dataclass(frozen=True)
class Listing:
    """Rows, and for each the place of the point that it is about."""

    rows: list[Row]
    points: list[int | None]

    def at(self, line: int) -> int | None:
        """The point of a row; null for a heading and beyond the end."""
        return self.points[line] if 0 <= line < len(self.points) else None


def table(plot: Plot, width: int, height: int, g: Glyphs, cursor: int | None) -> Listing:
    """Every point of a plot, the one under the cursor in sight."""
    name = name_width(plot)
    beside, wide = BESIDE[plot.kind]
    head = "    " + fit(_line_word(plot), name) + fit(beside, wide, "right")
    head += (
        fit(plot.time_head, TIME, "right")
        + fit(plot.unit, RATE, "right")
        + "  "
        + LAST[plot.kind][0]
    )
    room = max(0, height - 1)
    first = first_row(len(plot.points), cursor, room)
    rows: list[Row] = [[(head, "muted")]]
    points: list[int | None] = [None]
    for i, point in enumerate(plot.points[first : first + room], start=first):
        rows.append(_point(point, plot.kind, name, wide, g, at_cursor=i == cursor))
        points.append(i)
    return Listing([crop(row, width) for row in rows], points)


def _line_word(plot: Plot) -> str:
    return "prec" if all(p.name == p.row.precision for p in plot.points) else ""


def _point(point: Point, kind: Kind, name: int, wide: int, g: Glyphs, *, at_cursor: bool) -> Row:
    bold = ".bold" if at_cursor else ""
    quiet = "text" if point.front or at_cursor or kind in ("lengths", "load") else "muted"
    loud = "text.bold" if point.front or at_cursor else quiet
    last = "ok" if point.front else "muted" if point.running else quiet
    last = "warn" if point.saturated else last
    return [
        (g("▸ ") if at_cursor else "  ", "accent-a.bold"),
        (sign(point.line, g, hollow=not point.settled) + " ", role(point.line)),
        (fit(point.name, name - 1, mark=g("…")) + " ", quiet + bold),
        (fit(point.label, wide, "right"), quiet + bold),
        (fit(g(point.time), TIME, "right"), quiet + bold),
        (fit(g(point.row.rate), RATE, "right"), loud),
        ("  " + g(point.beside), last),
    ]


def point_line(point: Point, plot: Plot, width: int, g: Glyphs, *, named: bool = False) -> Row:
    """The figures of a cell and what is to be said of it, in the fullest form that fits; with its
    name first where nothing else names it. No ratio stands without a badge."""
    row = point.row
    what = "" if plot.kind == "load" else BESIDE[plot.kind][0]
    name = f"{point.name} {what} {point.label}".replace("  ", " ").strip()
    first: Row = [
        (f"{g(name)}   " if named else "", "text.bold"),
        (g(row.rate), "bad.bold" if row.state == "failed" else f"{role(point.line)}.bold"),
        (f" {plot.unit}", "muted"),
    ]
    if point.time:
        first += [("   ", "muted"), (g(point.time), "text.bold"), (f" {plot.time_unit}", "muted")]
    memory: Row = [("   ", "muted"), (g(row.gib), "text.bold"), (" GiB", "muted")]
    said: list[Row] = [[("   ", "muted"), (g(text), "text")] for text in point.said]
    worth = [] if plot.kind == "load" else _outputs(point, g)
    none: list[Row] = [[]]
    # What the output is worth stays longest: that a cell is on the front says that it is fast.
    pairs = chain(product(worth, said), product(worth, none), product(none, [*said, []]))
    rows = ([*first, *more, *output, *words] for output, words in pairs for more in (memory, []))
    return next((found for found in rows if row_width(found) <= width), crop(first, width))


def _outputs(point: Point, g: Glyphs) -> list[Row]:
    """How many times as fast as its reference, with the badge in each of its forms."""
    row = point.row
    if point.is_reference:
        return [[("   reference", "muted")]]
    of = f" of {point.reference}  " if point.reference else "  "
    ratio: Row = [("   ", "muted"), (row.ratio, "text.bold"), (of, "muted")]
    return [[*ratio, (g(badge), point.badge_role)] for badge in row.badges]
