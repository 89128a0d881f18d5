"""The iterations of a cell as points, with the machine's telemetry under them on the same axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from txtop import formatting
from txtop.stats.summary import compute_relative_half_width
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.canvas import Canvas
from txtop.ui.drawing.charts import compute_share
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, join_ends, measure_row
from txtop.ui.models.cell_detail.iterations import IterationKind, IterationsView
from txtop.ui.models.cell_detail.telemetry import Trace
from txtop.ui.panels.cell_detail.iteration_axis import (
    IterationAxis,
    format_axis_ticks,
    render_axis_rule,
)
from txtop.ui.panels.cell_detail.telemetry import render_trace

LEFT_WIDTH, RIGHT_WIDTH = 7, 10
MIN_PLOT_WIDTH = 12
MIN_PLOT_ROWS = 3
MAX_TRACE_ROWS = 3
AIRY_FROM = 14
LARGE_FROM = 10
LARGE = ((0, 0), (1, 0), (0, 1), (1, 1))
ROLES: dict[IterationKind, str] = {
    "measured": "accent-a",
    "outlier": "warn",
    "first": "muted",
    "warmup": "muted",
    "raced": "muted",
    "dropped": "muted",
    "discarded": "warn",
}
SIGNS: dict[IterationKind, str] = {"first": "○", "outlier": "▲", "discarded": "✗"}
# Signs in order of importance: if several share a cell, the first one stays visible.
RANK = "▲✗○↓↑"


def render_iterations(view: IterationsView, traces: Sequence[Trace], area: Area) -> list[Row]:
    """Render the summary, the points, the axis with its numbers, then the telemetry.

    Telemetry is dropped first, series by series, if there is little room.
    """
    g = area.glyphs
    left = LEFT_WIDTH if area.width >= LEFT_WIDTH + MIN_PLOT_WIDTH else 0
    right = RIGHT_WIDTH if area.width >= left + MIN_PLOT_WIDTH + RIGHT_WIDTH else 0
    axis = IterationAxis.of(view, area.width - left - right)
    top = _render_heading(view, area.width, g, airy=area.height >= AIRY_FROM)
    under: list[Row] = [
        [(" " * left, "text"), *render_axis_rule(view, axis, g)],
        [(" " * left, "text"), (format_axis_ticks(view, axis), "muted")],
    ]
    rest = area.height - len(top) - len(under)
    drawn = traces[: max(0, rest - (MIN_PLOT_ROWS if view.values else 1))]
    room = rest // 3 if view.values else rest - 1
    rows = max(1, min(MAX_TRACE_ROWS, room // len(drawn))) if drawn else 0
    for trace in drawn:
        under += render_trace(trace, axis, left, right, 1 if trace.flags else rows, g)
    plot = max(0, area.height - len(top) - len(under))
    return [*top, *_render_points(view, axis, left, right, plot, g), *under][: max(0, area.height)]


def _render_heading(view: IterationsView, width: int, g: Glyphs, *, airy: bool) -> list[Row]:
    """Render summary and legend in one row, or in two if there is room."""
    summary, key = _render_summary(view, g), _render_legend(view, g)
    if airy and key and measure_row(summary) + measure_row(key) + 2 > width:
        return [summary, key]
    while key and measure_row(summary) + measure_row(key) + 2 > width:
        key = key[:-2]
    return [join_ends(summary, key, width)]


def _render_summary(view: IterationsView, g: Glyphs) -> Row:
    """Render the mean, its interval and the sample count."""
    row: Row = [(f"{view.label} ", "muted")]
    if view.mean is None:
        row.append((g(formatting.PENDING if view.waits else formatting.MISSING), "text"))
    else:
        row += [(formatting.format_ms(view.mean), "text.bold"), (" ms", "muted")]
    half = compute_relative_half_width(view.mean, view.ci95)
    if half is not None:
        row.append(
            (
                f"  {g(formatting.format_half_width(half))}  "
                f"{formatting.format_interval(view.ci95)}",
                "text",
            )
        )
    row.append(("   n ", "muted"))
    return [*row, (str(view.counted), "text")]


def _render_legend(view: IterationsView, g: Glyphs) -> Row:
    """Render the marks that occur, most important first."""
    row: Row = []
    if odd := view.count("outlier"):
        row += [(f"{g('▲')} ", "warn"), (f"{formatting.format_count(odd, 'outlier')}   ", "muted")]
    if gone := view.count("discarded"):
        row += [(f"{g('✗')} ", "warn"), (f"{gone} discarded   ", "muted")]
    if before := view.count("dropped"):
        row += [(f"{g('│')} ", "muted"), (f"steady after {before}   ", "muted")]
    if raced := view.count("raced"):
        row += [(f"{g('░')} ", "border"), (f"{raced} of the race   ", "muted")]
    if warm := view.count("warmup"):
        row += [(f"{g('░')} ", "border"), (f"{warm} warm-up   ", "muted")]
    if any(_get_overflow_sign(v, view) and k not in SIGNS for v, k in _iter_pairs(view)):
        row += [(f"{g('↑↓')} ", "muted"), ("off the scale   ", "muted")]
    if view.count("first"):
        row += [(f"{g('○')} ", "muted"), ("first   ", "muted")]
    return row


def _iter_pairs(view: IterationsView) -> Iterator[tuple[float, IterationKind]]:
    return zip(view.values, view.kinds, strict=True)


def _get_overflow_sign(value: float, view: IterationsView) -> str:
    """Return an arrow for a value outside the scale, else an empty string."""
    return "↑" if value > view.high else "↓" if value < view.low else ""


def _render_points(
    view: IterationsView, axis: IterationAxis, left: int, right: int, height: int, g: Glyphs
) -> list[Row]:
    """Draw one dot an iteration; excluded iterations and outliers get signs of their own."""
    if height <= 0:
        return []
    width = axis.lead + axis.body
    field = Canvas(width, height, g, "•")
    if not view.values:
        reason = f"no {view.one} yet" if view.waits else f"no {view.one} was made"
        row: Row = [(" " * left, "text"), (fit(reason, width, mark=g("…")), "muted")]
        return [[], row, *([] for _ in range(height - 2))][:height] if height > 1 else [row]
    _draw_ground(view, axis, field, g)
    # A single dot is hard to see, so a point takes more dots of its cell if there is room.
    wide = field.fine and axis.room <= axis.body
    larger = LARGE if wide and height >= LARGE_FROM else LARGE[: 2 if wide else 1]
    signs: list[tuple[str, int, int, str]] = []
    for i, (value, kind) in reversed(list(enumerate(_iter_pairs(view)))):
        sign = SIGNS.get(kind) or _get_overflow_sign(value, view)
        if sign:
            signs.append((sign, axis.column(i), _find_row(value, view, field), ROLES[kind]))
            continue
        x = axis.lead * field.per + (2 * i + 1) * axis.body * field.per // (2 * axis.room)
        y = _compute_level(value, view, field.down)
        for dx, dy in larger:
            field.dot(x ^ dx, y ^ dy, ROLES[kind])
    for sign, column, y, role in sorted(signs, key=lambda mark: RANK.index(mark[0])):
        field.put(column, y, g(sign), role)
    labels = {height - 1: view.low, 0: view.high} if height > 1 else {}
    return [
        [
            *([(fit(_format_label(labels, y), left - 1, "right") + " ", "muted")] if left else []),
            *row,
            *(_render_mean_mark(view, y, field, right, g) if right else []),
        ]
        for y, row in enumerate(field.rows())
    ]


def _format_label(labels: dict[int, float], y: int) -> str:
    return formatting.format_ms(labels[y]) if y in labels else ""


def _compute_level(value: float, view: IterationsView, down: int) -> int:
    """Return the row of dots from the top, clamped to the scale."""
    return down - 1 - round(compute_share(value, view.low, view.high) * (down - 1))


def _find_row(value: float, view: IterationsView, field: Canvas) -> int:
    """Return the row of the canvas that holds the dot of a value."""
    return field.cell(0, _compute_level(value, view, field.down))[1]


def _draw_ground(view: IterationsView, axis: IterationAxis, field: Canvas, g: Glyphs) -> None:
    """Draw the start of the steady part, the mean over the iterations it is made of, and the
    warm-up shaded."""
    warm = next(
        (i for i, k in enumerate(view.kinds) if k not in ("first", "warmup", "raced")), None
    )
    start = view.steady_from
    if start is not None:
        for y in range(field.height):
            field.ground(axis.edge(start), y, g("│"), "muted")
    if view.mean is not None and warm is not None:
        y = _find_row(view.mean, view, field)
        for x in range(axis.edge(start or warm), axis.edge(len(view.values))):
            field.ground(x, y, g("╌"), "border")
    until = axis.edge(len(view.kinds) if warm is None else warm)
    for x in range(axis.lead, until):
        for y in range(field.height):
            field.ground(x, y, g("░"), "border")


def _render_mean_mark(view: IterationsView, y: int, field: Canvas, width: int, g: Glyphs) -> Row:
    """Render a bar over the rows of the interval, and the word beside the row of the mean."""
    if view.mean is None:
        return []
    low, high = view.ci95 or (view.mean, view.mean)
    bottom, at, top = (_find_row(v, view, field) for v in (low, view.mean, high))
    if y == at:
        return [(g("├" if view.ci95 else "─"), "text"), (fit(" mean", width - 1), "muted")]
    return [(g("│"), "text")] if top <= y <= bottom else []
