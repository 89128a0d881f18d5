"""One gauge row and the roofline rows, shared by the panels of the machine."""

from __future__ import annotations

from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, measure_text
from txtop.ui.models.machine import MBU, Gauge, RooflineView

LABEL_WIDTH, VALUE_WIDTH, UNIT_WIDTH, GAP = 6, 5, 5, 2
HEAD_WIDTH = LABEL_WIDTH + VALUE_WIDTH + UNIT_WIDTH + GAP
CAPACITY_WIDTH = 5
NO_READING = "waiting for first reading"
LIMITS = {"memory bandwidth": "memory", "arithmetic": "compute"}


def render_roofline(roofline: RooflineView, width: int) -> list[Row]:
    """Render the bound of the cell, its share of that bound and the remedy, in one row or two."""
    if roofline.error:
        return [[(MBU, "muted"), (" above 100 %: not shown", "warn")]]
    if not roofline.bound:
        return []
    if roofline.bound == "neither":
        return [[("bound by neither memory nor compute", "text")]]
    first: Row = [
        (f"{LIMITS.get(roofline.bound, roofline.bound)}-bound", "text"),
        (f": {roofline.share} % of the {roofline.source} peak", "muted"),
    ]
    if not roofline.lift:
        return [first]
    second: Row = [("int8 would lift the ceiling ", "muted"), (roofline.lift, "text")]
    joined: Row = [*first, ("; ", "muted"), *second]
    return [joined] if sum(measure_text(text) for text, _ in joined) <= width else [first, second]


def render_gauge(gauge: Gauge, width: int, g: Glyphs, *, used: bool = False) -> Row:
    """Render one row: label, value, unit, and a history or a capacity bar.

    A number in the label of a device that is `used`, beside others, is marked.
    """
    marked = used and gauge.label[-1:].isdigit()
    label = g(f"▸{gauge.label}") if marked else gauge.label
    row: Row = [
        (fit(label, LABEL_WIDTH), "text.bold" if marked else "muted"),
        (fit(g(gauge.value), VALUE_WIDTH, "right"), "text.bold"),
        (fit(f" {gauge.unit}", UNIT_WIDTH + GAP), "muted"),
    ]
    room = width - HEAD_WIDTH
    if room < 4:
        return row
    if gauge.share is not None:
        end = CAPACITY_WIDTH if gauge.capacity else 0
        row += charts.draw_bar(gauge.share, room - end, g)
        row.append((fit(gauge.capacity, end, "right"), "muted"))
    elif gauge.history:
        row += [(line, "plot") for line in charts.draw_area(gauge.history, room, 1, gauge.top, g)]
    return row
