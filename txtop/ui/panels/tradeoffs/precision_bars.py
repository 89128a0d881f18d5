"""The speedup of each precision over the most precise one as bars, with its output badge."""

from __future__ import annotations

from txtop.state.fidelity import shorten_badge
from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.bar_block import (
    GAP,
    MAX_BAR_WIDTH,
    MIN_BAR_WIDTH,
    VALUE_WIDTH,
    Bar,
    compute_bar_width,
    render_bar_block,
)
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import get_series_role, get_series_sign
from txtop.ui.drawing.scrolling import compute_first_row
from txtop.ui.drawing.spans import Row, crop, fit, measure_row
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint
from txtop.ui.panels.tradeoffs.table import PointTable, compute_name_width

HALF_INTERVAL_WIDTH, UNIT_WIDTH, RATIO_WIDTH = 9, 6, 7


def render_precision_bars(plot: TradeoffPlot, area: Area, cursor: int | None) -> PointTable:
    """Render one block for each workload, all on one scale, with the cursor in view. No ratio
    stands without the badge of its output."""
    g = area.glyphs
    columns = _BarColumns(plot, area.width)
    lines = _list_lines(plot)
    at = next((y for y, (i, _) in enumerate(lines) if i is not None and i == cursor), None)
    first = compute_first_row(at, len(lines), area.height)
    visible = lines[first : first + max(0, area.height)]
    rows: list[Row] = [
        [(g(heading), "muted")]
        if i is None
        else columns.row(plot.points[i], g, at_cursor=i == cursor)
        for i, heading in visible
    ]
    return PointTable([crop(row, area.width) for row in rows], [i for i, _ in visible])


def render_cost_bars(plot: TradeoffPlot, area: Area, cursor: int | None) -> list[Row]:
    """Render a block a cost, one row a cell, on a scale of its own; those that fit as a whole.

    Of several works there are none: their costs are not to be compared.
    """
    if len({point.label for point in plot.points}) > 1:
        return []
    g = area.glyphs
    named = compute_name_width(plot)
    bar_width = compute_bar_width(area.width, 4 + named)
    rows: list[Row] = []
    headings = dict.fromkeys(heading for point in plot.points for heading, *_ in point.costs)
    for heading in headings:
        bars = []
        for i, point in enumerate(plot.points):
            role = get_series_role(point.line)
            label: Row = [
                ("  ", "text"),
                (get_series_sign(point.line, g, hollow=not point.settled) + " ", role),
                (fit(point.name, named - 1, mark=g("…")) + " ", "text"),
            ]
            text_role = "text.bold" if i == cursor else "text"
            bars += [
                Bar(label, text, text_role, value, role)
                for own, text, value in point.costs
                if own == heading
            ]
        room = area.height - len(rows)
        rows += render_bar_block(f"{heading}, less is better", bars, bar_width, room, g)
    return [crop(row, area.width) for row in rows]


def _list_lines(plot: TradeoffPlot) -> list[tuple[int | None, str]]:
    """Return the points from the top, with a blank line and a heading between workloads."""
    several = len({point.label for point in plot.points}) > 1
    lines: list[tuple[int | None, str]] = []
    block = None
    for i, point in enumerate(plot.points):
        if several and point.label != block:
            lines += [(None, "")] if block is not None else []
            lines.append((None, point.label))
            block = point.label
        lines.append((i, ""))
    return lines


class _BarColumns:
    """The widths of bars and badges, common to all rows."""

    def __init__(self, plot: TradeoffPlot, width: int) -> None:
        self._name = compute_name_width(plot)
        self._unit = plot.unit
        self._best = max((point.x for point in plot.points), default=0.0)
        self._room = (
            width
            - (4 + self._name + VALUE_WIDTH + HALF_INTERVAL_WIDTH + UNIT_WIDTH)
            - GAP
            - RATIO_WIDTH
            - GAP
        )
        rows = [
            _render_badge(point, self._room - MIN_BAR_WIDTH) for point in plot.points if point.y
        ]
        widest = max(map(measure_row, rows), default=0)
        self._bar = min(MAX_BAR_WIDTH, self._room - widest)
        if self._bar < MIN_BAR_WIDTH:
            self._bar = 0

    def row(self, point: TradeoffPoint, g: Glyphs, *, at_cursor: bool) -> Row:
        """Render sign, name and rate, then bar, ratio and badge, or the reason for their
        absence."""
        row, bold = point.row, ".bold" if at_cursor else ""
        number = "bad.bold" if row.state == "failed" else "text.bold"
        spans: Row = [
            (g("▸ ") if at_cursor else "  ", "accent-a.bold"),
            (
                get_series_sign(point.line, g, hollow=not point.settled) + " ",
                get_series_role(point.line),
            ),
            (fit(point.name, self._name - 1, mark=g("…")) + " ", "text" + bold),
            (fit(g(row.rate), VALUE_WIDTH, "right"), number),
            (fit(" " + self._unit, UNIT_WIDTH), "muted"),
            (fit(" " + g(row.half), HALF_INTERVAL_WIDTH), "muted"),
        ]
        if not point.y:
            why = "bad" if row.state == "failed" else "muted"
            return [*spans, (" " * GAP, "text"), (g(row.note), why)]
        beside = _render_badge(point, self._room - self._bar)
        if measure_row(beside) > self._room - self._bar:
            return spans
        full = (
            charts.draw_bar(point.x / self._best, self._bar, g, get_series_role(point.line))
            if point.x
            else []
        )
        ratio = fit(row.ratio if point.x else "", RATIO_WIDTH, "right")
        gap = " " * GAP
        spans += [(gap, "text"), *crop(full, self._bar), (ratio + gap, "text.bold")]
        return [*spans, *((g(text), colour) for text, colour in beside)]


def _render_badge(point: TradeoffPoint, room: int) -> Row:
    """Render the output badge and a note in the longest form that fits, else in the shortest."""
    row = point.row
    noted = row.note not in ("", "reference")
    note: Row = [(f" · {row.note}", "muted")] if noted else []
    if point.is_reference:
        whole: Row = [("reference", "muted"), *note]
        return whole if measure_row(whole) <= room else whole[:1]
    if not point.x:
        return [(row.note or "nothing to compare it with", "muted")]
    badges = (*row.badges, shorten_badge(row.badges[-1]))
    # A doubt is dropped after the longer wording of a badge.
    forms: list[Row] = [[(word, point.badge_role), *note] for word in row.badges]
    forms += [[(word, point.badge_role)] for word in badges]
    return next((form for form in forms if measure_row(form) <= room), forms[-1])
