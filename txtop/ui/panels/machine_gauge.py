"""One gauge as a row, and what bounds the cell: what the machine's panels share."""

from __future__ import annotations

from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, measure_text
from txtop.ui.models.machine import MBU, Gauge, RooflineView

LABEL_WIDTH, VALUE_WIDTH, UNIT_WIDTH, GAP = 6, 5, 5, 2


HEAD_WIDTH = LABEL_WIDTH + VALUE_WIDTH + UNIT_WIDTH + GAP


CAPACITY_WIDTH = 5

LIMITS = {"memory bandwidth": "memory", "arithmetic": "compute"}


def render_roofline(shown: RooflineView, width: int) -> list[Row]:
    """What bounds the cell and how near it comes, and what would lift it, in one row or two."""
    if shown.error:
        return [[(MBU, "muted"), (" above 100 %: not shown", "warn")]]
    if not shown.bound:
        return []
    if shown.bound == "neither":
        return [[("bound by neither memory nor compute", "text")]]
    first: Row = [
        (f"{LIMITS.get(shown.bound, shown.bound)}-bound", "text"),
        (f": {shown.share} % of the {shown.source} peak", "muted"),
    ]
    if not shown.lift:
        return [first]
    second: Row = [("int8 would lift the ceiling ", "muted"), (shown.lift, "text")]
    joined: Row = [*first, ("; ", "muted"), *second]
    return [joined] if sum(measure_text(text) for text, _ in joined) <= width else [first, second]


def render_gauge(shown: Gauge, width: int, g: Glyphs) -> Row:
    """One row: label, value, unit, and what it was or what it is of."""
    row: Row = [
        (fit(shown.label, LABEL_WIDTH), "muted"),
        (fit(g(shown.value), VALUE_WIDTH, "right"), "text.bold"),
        (fit(f" {shown.unit}", UNIT_WIDTH + GAP), "muted"),
    ]
    room = width - HEAD_WIDTH
    if room < 4:
        return row
    if shown.share is not None:
        end = CAPACITY_WIDTH if shown.capacity else 0
        row += charts.draw_bar(shown.share, room - end, g)
        row.append((fit(shown.capacity, end, "right"), "muted"))
    elif shown.history:
        row.append((charts.draw_filled(shown.history, room, shown.top, g), "plot"))
    return row
