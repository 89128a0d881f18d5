"""Telemetry of the machine on the axis of a cell's iterations."""

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
    trace: Trace, axis: IterationAxis, left: int, right: int, height: int, g: Glyphs
) -> list[Row]:
    """Render one series: rates filled from zero, series without a zero as dots on a zoomed
    scale."""
    width = axis.lead + axis.body
    per = 2 if g.mode == "braille" else 1
    points = [
        *resample(trace.lead, len(trace.lead), axis.lead * per),
        *resample(trace.body, trace.room, axis.body * per),
    ]
    if trace.flags:
        drawn = [_render_flags(points, per, g)]
    elif trace.top:
        drawn = [
            [(text, "plot")] for text in _draw_filled_rows(points, width, height, trace.top, g)
        ]
    else:
        drawn = _draw_dotted_rows(points, width, height, g)
    value, last = f" {trace.value} {g(trace.unit)}", len(drawn) - 1
    return [
        crop(
            [
                *([(fit(trace.label if y == last else "", left), "muted")] if left else []),
                *row,
                *([(fit(value if y == last else "", right, mark=g("…")), "text")] if right else []),
            ],
            width + left + right,
        )
        for y, row in enumerate(drawn)
    ]


def resample(points: Sequence[float | None], room: int, places: int) -> list[float | None]:
    """Return `places` means (or repeats) of `points`, which fill the first of `room` bins."""
    resampled: list[float | None] = []
    for x in range(places):
        first, last = x * room // places, max(x * room // places + 1, (x + 1) * room // places)
        values = [v for v in points[first:last] if v is not None]
        resampled.append(fmean(values) if values else None)
    return resampled


def _draw_filled_rows(
    points: Sequence[float | None], width: int, height: int, top: float, g: Glyphs
) -> list[str]:
    """Draw `height` lines; upper lines are filled by the values that reach them.

    Unlike `charts.draw_area`, a value that reaches a line has a dot there, however small: most
    traces have two lines and change little.
    """
    lines = []
    for y in range(height - 1, -1, -1):
        low = y * top / height
        part: list[float | None] = [
            None if v is None or (y and v <= low) else min(v - low, top / height) for v in points
        ]
        lines += charts.draw_area(part, width, 1, top / height, g)
    return lines


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
