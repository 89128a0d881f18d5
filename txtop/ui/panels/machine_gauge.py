"""Rows of gauges, facts and the roofline, shared by the parts of the machine's panel."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit, measure_row, measure_text
from txtop.ui.models.machine import MBU, Fact, Gauge, RooflineView

LABEL_WIDTH, VALUE_WIDTH, UNIT_WIDTH, GAP = 6, 5, 5, 2
HEAD_WIDTH = LABEL_WIDTH + VALUE_WIDTH + UNIT_WIDTH + GAP
CAPACITY_WIDTH = 6
# Columns beside the head from which on the scale stands at the end.
SCALE_FROM = 14
MAX_AREA_ROWS = 20
NO_READING = "waiting for first reading"
LIMITS = {"memory bandwidth": "memory", "arithmetic": "compute"}


def render_roofline(roofline: RooflineView, width: int) -> list[Row]:
    """Render the bound of the cell, its share of that bound and the remedy, in one row or two."""
    if roofline.error:
        return [[(MBU, "muted"), (" above 100 %: not shown", "warn")]]
    if not roofline.bound:
        return []
    if roofline.bound == "neither":
        return [[("limited by neither memory nor compute", "text")]]
    first: Row = [
        (f"limited by {LIMITS.get(roofline.bound, roofline.bound)}", "text"),
        (f": {roofline.share} % of the {roofline.source} peak", "muted"),
    ]
    if not roofline.lift:
        return [first]
    second: Row = [("int8 would lift the ceiling ", "muted"), (roofline.lift, "text")]
    joined: Row = [*first, ("; ", "muted"), *second]
    return [joined] if sum(measure_text(text) for text, _ in joined) <= width else [first, second]


def render_gauge(
    gauge: Gauge, width: int, g: Glyphs, *, high: int = 1, used: bool = False, dated: bool = False
) -> list[Row]:
    """Render label, value, unit, and a bar in one row, or a history that is `high` rows high.

    At the end stands what the whole width of the bar, or the height of the history, is; before the
    foot of a history that is `dated`, what its width is. A number in the label of a device that is
    `used`, beside others, is marked.
    """
    marked = used and gauge.label[-1:].isdigit()
    label = g(f"▸{gauge.label}") if marked else gauge.label
    head: Row = [
        (fit(label, LABEL_WIDTH), _choose_label_role(gauge.label, marked=marked)),
        (fit(g(gauge.value), VALUE_WIDTH, "right"), "text.bold"),
        (fit(f" {g(gauge.unit)}", UNIT_WIDTH + GAP), "muted"),
    ]
    room = width - HEAD_WIDTH
    if room < 4 or (gauge.share is None and not gauge.history):
        return [head]
    scale = gauge.capacity or f"{gauge.top:,.0f}"
    scale += " %" if gauge.unit == "%" else ""
    end = CAPACITY_WIDTH if (gauge.capacity or gauge.share is None) and room >= SCALE_FROM else 0
    last: Row = [(fit(scale, end, "right"), "muted")]
    if gauge.share is not None:
        return [[*head, *charts.draw_bar(gauge.share, room - end, g), *last]]
    drawn = draw_history(gauge.history, room - end, max(1, high), gauge.top, g)
    blank: Row = [(" " * HEAD_WIDTH, "text")]
    heads = [head, *([blank] * (len(drawn) - 1))]
    if dated and len(drawn) > 1:
        span_s = compute_span_s(gauge.history, room - end, g)
        heads[-1] = [(fit(f"last {span_s} s", HEAD_WIDTH), "muted")]
    return [[*heads[y], *line, *([] if y else last)] for y, line in enumerate(drawn)]


def _choose_label_role(label: str, *, marked: bool) -> str:
    """Return the role of a label: a device among others stands out from its readings."""
    return "text.bold" if marked else "text" if label[-1:].isdigit() else "muted"


def draw_history(
    points: Sequence[float | None], width: int, high: int, top: float, g: Glyphs
) -> list[Row]:
    """Draw an area of a point a second, on a rule as far as it is empty.

    A second takes two dots as long as all of them fit, then one.
    """
    if points and compute_span_s(points, width, g) < _count_dots(width, g):
        points = [point for point in points for _ in range(2)]
    lines = charts.draw_area(points, width, high, top, g, apart=True)
    bottom = lines[-1].lstrip()
    before = g("╌") * (width - measure_text(bottom))
    return [*([(line, "plot")] for line in lines[:-1]), [(before, "border"), (bottom, "plot")]]


def compute_span_s(points: Sequence[float | None], width: int, g: Glyphs) -> int:
    """Return the seconds that the width of a history of one point a second stands for."""
    dots = _count_dots(width, g)
    return dots // 2 if points and 2 * len(points) <= dots else dots


def _count_dots(width: int, g: Glyphs) -> int:
    return width * (2 if g.mode == "braille" else 1)


def grow_gauges(gauges: Sequence[Gauge], spare: int) -> list[int]:
    """Return the rows of each gauge if `spare` rows are shared by those with a history."""
    tall = [i for i, gauge in enumerate(gauges) if gauge.share is None and gauge.history]
    rows = [1] * len(gauges)
    for n, i in enumerate(tall):
        rows[i] = min(MAX_AREA_ROWS, 1 + spare // len(tall) + (n < spare % len(tall)))
    return rows


def render_gauges(
    gauges: Sequence[Gauge], width: int, room: int, g: Glyphs, *, used: bool = False
) -> list[Row]:
    """Render gauges one under the other, with histories as high as `room` rows permit.

    The first history says how many seconds all of them are.
    """
    heights = grow_gauges(gauges, max(0, room - len(gauges)))
    first = next((i for i, gauge in enumerate(gauges) if gauge.history), -1)
    return [
        row
        for i, (gauge, high) in enumerate(zip(gauges, heights, strict=True))
        for row in render_gauge(gauge, width, g, high=high, used=used, dated=i == first)
    ]


def render_facts(facts: Sequence[Fact], width: int, g: Glyphs) -> Row:
    """Render as many whole facts as fit."""
    row: Row = []
    for fact in facts:
        unit = f" {g(fact.unit)}" if fact.unit else ""
        if fact.bad:
            spans: Row = [(f"{g('▲')} {fact.value}{unit}", "warn.bold")]
        else:
            label = f"{fact.label} " if fact.label else ""
            spans = [(label, "muted"), (fact.value, "text.bold"), (unit, "muted")]
        gap: Row = [("   ", "text")] if row else []
        if measure_row(row) + measure_row(gap) + measure_row(spans) > width:
            break
        row += [*gap, *spans]
    return row


def wrap_facts(facts: Sequence[Fact], width: int, g: Glyphs) -> list[Row]:
    """Render all facts in as many rows as necessary."""
    rows: list[Row] = []
    left = list(facts)
    while left:
        count = 1
        while (
            count < len(left) and measure_row(render_facts(left[: count + 1], 10_000, g)) <= width
        ):
            count += 1
        rows.append(
            render_facts(left[:count], max(width, 1), g) or crop([(left[0].value, "text")], width)
        )
        left = left[count:]
    return rows
