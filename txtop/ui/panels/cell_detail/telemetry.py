"""Series of the machine over the axis of the iterations of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from txtop.ui.drawing import charts
from txtop.ui.drawing.canvas import Canvas
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit
from txtop.ui.models.cell_detail.telemetry import Trace
from txtop.ui.panels.cell_detail.iteration_axis import IterationAxis


def render_trace(
    shown: Trace, axis: IterationAxis, left: int, right: int, height: int, g: Glyphs
) -> list[Row]:
    """One series: rates filled from zero, what has no zero as dots on a zoomed scale."""
    width = axis.lead + axis.body
    per = 2 if g.mode == "braille" else 1
    points = [
        *resample(shown.lead, len(shown.lead), axis.lead * per),
        *resample(shown.body, shown.room, axis.body * per),
    ]
    if shown.flags:
        drawn = [_render_flags(points, per, g)]
    elif shown.top:
        drawn = [[(text, "plot")] for text in draw_filled_rows(points, width, height, shown.top, g)]
    else:
        drawn = _draw_dotted_rows(points, width, height, g)
    value, last = f" {shown.value} {g(shown.unit)}", len(drawn) - 1
    return [
        crop(
            [
                *([(fit(shown.label if y == last else "", left), "muted")] if left else []),
                *row,
                *([(fit(value if y == last else "", right, mark=g("…")), "text")] if right else []),
            ],
            width + left + right,
        )
        for y, row in enumerate(drawn)
    ]


def resample(points: Sequence[float | None], room: int, places: int) -> list[float | None]:
    """`points`, which fill the first of `room` bins, as `places` means or repeats of them."""
    found: list[float | None] = []
    for x in range(places):
        first, last = x * room // places, max(x * room // places + 1, (x + 1) * room // places)
        known = [v for v in points[first:last] if v is not None]
        found.append(fmean(known) if known else None)
    return found


def draw_filled_rows(
    points: Sequence[float | None], width: int, height: int, top: float, g: Glyphs
) -> list[str]:
    """`height` lines, the upper ones where a value reaches them."""
    found = []
    for y in range(height - 1, -1, -1):
        low = y * top / height
        part: list[float | None] = [
            None if v is None or (y and v <= low) else min(v - low, top / height) for v in points
        ]
        found.append(charts.draw_filled(part, width, top / height, g))
    return found


def _draw_dotted_rows(
    points: Sequence[float | None], width: int, height: int, g: Glyphs
) -> list[Row]:
    field = Canvas(width, height, g, "•")
    low, high = charts.compute_zoom_range(points)
    for x, value in enumerate(points):
        if value is not None:
            up = round(charts.compute_share(value, low, high) * (field.down - 1))
            field.dot(x, field.down - 1 - up, "plot")
    return field.rows()


def _render_flags(points: Sequence[float | None], per: int, g: Glyphs) -> Row:
    there = [any(v is not None for v in points[x : x + per]) for x in range(0, len(points), per)]
    return [("".join(g("▲") if flag else " " for flag in there), "warn")]
