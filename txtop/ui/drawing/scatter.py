"""A scatter plot: lines in braille dots, one sign a series, ceilings, and a cursor.

Drawn from front to back: the sign of a point, the brackets of the cursor, a line, texts where no
line is, budgets and ceilings, the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from txtop.ui.drawing.canvas import Canvas
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scale import Scale, format_tick
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_text

SIGNS, HOLLOW = "●■▲◆", "○□△◇"
ASCII_SIGNS, ASCII_HOLLOW = "*#^$", "oooo"
ROLES = ("accent-a", "accent-b", "text", "muted")
GRID_EVERY = 4
CEILING_NAME_AT = 5
GUTTER = 7
MIN_SIZE = (16, 4)
# Rows from which on the name of the horizontal axis has a row of its own.
NAMED_BELOW_FROM = 11
GridPosition = tuple[int, int]
Polyline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ScatterPoint:
    """One point: its series, its label, and whether it is hollow because its value is not final."""

    x: float
    y: float
    series: int
    label: str = ""
    hollow: bool = False
    bold: bool = False


@dataclass(frozen=True)
class ScatterData:
    """The content of a scatter plot.

    `lines` are (series, path), `guide` is a line that was not measured with its name, `ceilings`
    are heights and `budgets` places on the horizontal axis, with their names. `legend` explains the
    labels of the points, where the name of the axis has a row of its own.
    """

    x: Scale
    y: Scale
    x_name: str
    y_name: str
    spots: tuple[ScatterPoint, ...] = ()
    lines: tuple[tuple[int, Polyline], ...] = ()
    guide: tuple[Polyline, str] | None = None
    ceilings: tuple[tuple[float, str], ...] = ()
    budgets: tuple[tuple[float, str], ...] = ()
    legend: str = ""


def get_series_sign(series: int, g: Glyphs, *, hollow: bool = False) -> str:
    """Return the sign of a series; from the fifth series on, signs and colours form new pairs."""
    place = (series + series // len(SIGNS)) % len(SIGNS)
    if g.mode == "ascii":
        return (ASCII_HOLLOW if hollow else ASCII_SIGNS)[place]
    return (HOLLOW if hollow else SIGNS)[place]


def get_series_role(series: int) -> str:
    """Return the colour role of a series."""
    return ROLES[series % len(ROLES)]


class ScatterPlot:
    """A plot of `width` columns and `height` rows, with labels at the left and in the rows at the
    bottom: two, or three where the name of the axis takes one of its own."""

    def __init__(self, drawing: ScatterData, width: int, height: int, g: Glyphs) -> None:
        self._shown = drawing
        self._width, self._height = width, height
        self._g = g
        self.gutter = min(GUTTER, max(0, width - MIN_SIZE[0]))
        name = measure_text(clean(drawing.x_name))
        self._named_below = name >= self.gutter and height >= NAMED_BELOW_FROM
        self.across, self.down = width - self.gutter, height - 2 - self._named_below
        self._drawn = width >= MIN_SIZE[0] and height >= MIN_SIZE[1]

    def place(self, x: float, y: float) -> GridPosition:
        """Return column and row of a value, gutter included."""
        column, row = self._dot(x, y)
        return self.gutter + column // 2, row // 4

    def nearest(self, column: int, row: int) -> int | None:
        """Return the index of the point closest to a click, at most two columns and one row
        away."""
        if not self._drawn:
            return None
        near: list[tuple[int, int]] = []
        for i, spot in enumerate(self._shown.spots):
            x, y = self.place(spot.x, spot.y)
            if abs(x - column) <= 2 and abs(y - row) <= 1:
                near.append((abs(x - column) + 2 * abs(y - row), i))
        return min(near)[1] if near else None

    def rows(self, cursor: int | None = None) -> list[Row]:
        """Draw exactly `height` rows of `width` columns; blank if there is no room for a plot."""
        if not self._drawn:
            return [[(" " * max(0, self._width), "text")] for _ in range(max(0, self._height))]
        canvas = Canvas(self.across, self.down, self._g)
        self._paths(canvas)
        self._points(canvas, cursor)
        self._budgets(canvas)
        self._ceilings(canvas)
        self._grid(canvas)
        labels = self._labels_at_rows()
        gap = " " * min(1, self.gutter)
        body: list[Row] = [
            [(self._align_in_gutter(labels.get(y, "")) + gap, "muted"), *row]
            for y, row in enumerate(canvas.rows())
        ]
        return [*body, *self._axis()]

    def _points(self, canvas: Canvas, cursor: int | None) -> None:
        """Draw the signs, the one under the cursor on top; then the labels that find room."""
        spots = self._shown.spots
        order = sorted(range(len(spots)), key=lambda i: (i != cursor, not spots[i].bold))
        for i in order:
            spot = spots[i]
            x, y = self._cell(spot)
            weight = ".bold" if spot.bold or i == cursor else ""
            canvas.put(
                x,
                y,
                get_series_sign(spot.series, self._g, hollow=spot.hollow),
                get_series_role(spot.series) + weight,
            )
        if cursor is not None and cursor < len(spots):
            x, y = self._cell(spots[cursor])
            canvas.put(x - 1, y, "[", "accent-a.bold")
            canvas.put(x + 1, y, "]", "accent-a.bold")
        labelled = set()
        for i in order:
            spot, at = spots[i], self._cell(spots[i])
            # A point that lies under another would leave its label without a sign.
            if spot.label and at not in labelled:
                labelled.add(at)
                at_cursor = i == cursor
                quiet = "text" if spot.bold else "muted"
                self._label(canvas, spot, "text.bold" if at_cursor else quiet, 1 + at_cursor)
        self._guide_name(canvas)

    def _label(self, canvas: Canvas, spot: ScatterPoint, colour: str, away: int) -> None:
        """Put the label beside the point, else above or below it; drop it if all are taken.

        It covers no line, and touches no sign but its own: it would be read as that one's.
        """
        text = clean(self._g(spot.label))
        wide = measure_text(text)
        x, y = self._cell(spot)
        beside = (x + away, x - away - wide + 1)
        places = [(beside[0], y), (beside[1], y)]
        for row in (y - 1, y + 1):
            places += [(x - wide // 2, row), (beside[0], row), (beside[1], row)]
        for left, row in places:
            ends = [at for at in (left - 1, left + wide) if row != y or abs(at - x) >= away]
            clear = not any(canvas.has_sign(at, row) or canvas.has_dot(at, row) for at in ends)
            if clear and canvas.blank(left, row, wide):
                canvas.put(left, row, text, colour)
                return

    def _guide_name(self, canvas: Canvas) -> None:
        """Put the name under the end of the guide, or behind it, clear of every sign and line."""
        if self._shown.guide is None:
            return
        path, name = self._shown.guide
        text = clean(self._g(name))
        x, y = self._cell(ScatterPoint(*path[-1], 0))
        wide = measure_text(text)
        rows = (y + 1, y + 2, y, y - 1, y - 2)
        for left, row in ((left, row) for left in (x - wide, x + 2) for row in rows):
            if canvas.blank(left - 1, row, wide + 2):
                canvas.put(left, row, text, "muted")
                return

    def _ceilings(self, canvas: Canvas) -> None:
        """Draw each ceiling as a dashed row with its name; one above the scale takes the top row
        and shows its value. Where points and lines leave no room for the name it stands under the
        row."""
        g = self._g
        for value, name in self._shown.ceilings:
            beyond = value > self._shown.y.high
            y = 0 if beyond else self.place(self._shown.x.low, value)[1]
            label = f"{name} ↑ {format_tick(value)}" if beyond else name
            text = f" {cut(clean(g(label)), max(0, self.across - 2 * CEILING_NAME_AT), g('…'))} "
            wide = measure_text(text)
            last = self.across - wide - 1
            places = ((x, row) for row in (y, y + 1, y + 2) for x in range(CEILING_NAME_AT, last))
            if (at := next((p for p in places if canvas.blank(*p, wide)), None)) is not None:
                canvas.put(*at, text, "muted")
            for x in range(self.across):
                canvas.ground(x, y, g("╌"), "muted")

    def _budgets(self, canvas: Canvas) -> None:
        """Draw each budget as a column of dashes with its name beside its upper end."""
        g = self._g
        for value, name in self._shown.budgets:
            x = self.place(value, self._shown.y.low)[0] - self.gutter
            text = clean(g(name))
            wide = measure_text(text)
            places = ((left, y) for y in range(self.down) for left in (x + 2, x - 1 - wide))
            if (at := next((p for p in places if canvas.blank(*p, wide)), None)) is not None:
                canvas.put(*at, text, "warn")
            for y in range(self.down):
                canvas.ground(x, y, g("╎"), "warn")

    def _paths(self, canvas: Canvas) -> None:
        for series, path in self._shown.lines:
            self._path(canvas, path, get_series_role(series), 1)
        if self._shown.guide is not None:
            self._path(canvas, self._shown.guide[0], "muted", 4)

    def _path(self, canvas: Canvas, path: Polyline, colour: str, every: int) -> None:
        """Draw one dot a step along the longer side of each piece."""
        for start, end in pairwise(path):
            (x0, y0), (x1, y1) = self._dot(*start), self._dot(*end)
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for i in range(0, steps + 1, every):
                x, y = x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps
                dot = round(x), round(y)
                canvas.dot(*(dot if canvas.fine else (dot[0] // 2, dot[1] // 4)), colour)

    def _grid(self, canvas: Canvas) -> None:
        """Draw a dot every few columns on labelled rows; not without braille, where lines look the
        same."""
        if self._g.mode != "braille":
            return
        for y in self._labels_at_rows():
            for x in range(0, self.across, GRID_EVERY):
                canvas.ground(x, y, "·", "border")

    def _labels_at_rows(self) -> dict[int, str]:
        """Return the labels of the vertical axis by row, none directly above another."""
        labels: dict[int, str] = {}
        for value in reversed(self._shown.y.ticks):
            y = self.place(self._shown.x.low, value)[1]
            if not {y - 1, y, y + 1} & labels.keys():
                labels[y] = format_tick(value)
        return labels

    def _axis(self) -> list[Row]:
        """Draw the rule with its ticks, and the labels under it; no tick is without its label.

        The name of the vertical axis stands left of the rule, that of the horizontal axis under it;
        if it is too long for the gutter, in a row of its own, or behind the labels.
        """
        g, line, text = self._g, [self._g("─")] * self.across, [" "] * self.across
        name, wide = clean(self._shown.x_name), max(0, self.gutter - 1)
        at_end = "" if measure_text(name) <= wide else cut(name, max(0, self.across - 2), "")
        free = self.across - (0 if self._named_below else measure_text(at_end))
        taken = -1
        for value in self._shown.x.ticks:
            x = self.place(value, self._shown.y.low)[0] - self.gutter
            label = format_tick(value)
            start = min(max(0, x - len(label) // 2), max(0, self.across - len(label)))
            if start > taken and start + len(label) + bool(at_end and free < self.across) <= free:
                line[x] = g("┴")
                text[start : start + len(label)] = label
                taken = start + len(label)
        gap = " " * min(1, self.gutter)
        legend = fit(self._shown.legend, max(0, self._width - measure_text(at_end)), mark="")
        below: Row = [(legend + at_end, "muted")]
        return [
            [
                (self._align_in_gutter(clean(self._shown.y_name)) + gap, "muted"),
                ("".join(line), "border"),
            ],
            [
                (self._align_in_gutter("" if at_end else name) + gap, "muted"),
                ("".join(text)[:free] + ("" if self._named_below else at_end), "muted"),
            ],
            *([below] if self._named_below else []),
        ]

    def _align_in_gutter(self, text: str) -> str:
        """Align `text` right in the gutter, one column short of the plot."""
        return fit(text, self.gutter - 1, "right", "")

    def _cell(self, spot: ScatterPoint) -> GridPosition:
        x, y = self.place(spot.x, spot.y)
        return x - self.gutter, y

    def _dot(self, x: float, y: float) -> GridPosition:
        """Return the braille dot of a value, counted from the upper left."""
        column = round(self._shown.x.share(x) * (2 * self.across - 1))
        row = round((1 - self._shown.y.share(y)) * (4 * self.down - 1))
        return column, row
