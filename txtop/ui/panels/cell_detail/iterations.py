"""Every iteration as a point, and what the machine did meanwhile under it, over one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from txtop import formatting
from txtop.stats.summary import compute_relative_half_width
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
    "dropped": "muted",
    "discarded": "warn",
}
SIGNS: dict[IterationKind, str] = {"first": "○", "outlier": "▲", "discarded": "✗"}
# Of several in one place the first is seen.
RANK = "▲✗○↓↑"


def render_iterations(
    shown: IterationsView, traces: Sequence[Trace], width: int, height: int, g: Glyphs
) -> list[Row]:
    """`height` rows: what it amounts to, the points, the axis with its numbers, then the machine.

    Where there is little room the machine goes first, series by series.
    """
    left = LEFT_WIDTH if width >= LEFT_WIDTH + MIN_PLOT_WIDTH else 0
    right = RIGHT_WIDTH if width >= left + MIN_PLOT_WIDTH + RIGHT_WIDTH else 0
    axis = IterationAxis.of(shown, width - left - right)
    top = _render_heading(shown, width, g, airy=height >= AIRY_FROM)
    under: list[Row] = [
        [(" " * left, "text"), *render_axis_rule(shown, axis, g)],
        [(" " * left, "text"), (format_axis_ticks(shown, axis), "muted")],
    ]
    rest = height - len(top) - len(under)
    drawn = traces[: max(0, rest - (MIN_PLOT_ROWS if shown.values else 1))]
    room = rest // 3 if shown.values else rest - 1
    rows = max(1, min(MAX_TRACE_ROWS, room // len(drawn))) if drawn else 0
    for each in drawn:
        under += render_trace(each, axis, left, right, 1 if each.flags else rows, g)
    plot = max(0, height - len(top) - len(under))
    return [*top, *_render_points(shown, axis, left, right, plot, g), *under][: max(0, height)]


def _render_heading(shown: IterationsView, width: int, g: Glyphs, *, airy: bool) -> list[Row]:
    """What it amounts to and what the marks mean, in one row, or two where there is room."""
    summary, key = _render_summary(shown, g), _render_legend(shown, g)
    if airy and key and measure_row(summary) + measure_row(key) + 2 > width:
        return [summary, key]
    while key and measure_row(summary) + measure_row(key) + 2 > width:
        key = key[:-2]
    return [join_ends(summary, key, width)]


def _render_summary(shown: IterationsView, g: Glyphs) -> Row:
    """Mean, interval, and of how many."""
    row: Row = [(f"{shown.label} ", "muted")]
    if shown.mean is None:
        row.append((g(formatting.PENDING if shown.waits else formatting.MISSING), "text"))
    else:
        row += [(formatting.format_ms(shown.mean), "text.bold"), (" ms", "muted")]
    half = compute_relative_half_width(shown.mean, shown.ci95)
    if half is not None:
        row.append(
            (
                f"  {g(formatting.format_half_width(half))}  "
                f"{formatting.format_interval(shown.ci95)}",
                "text",
            )
        )
    row.append(("   n ", "muted"))
    return [*row, (str(shown.counted), "text")]


def _render_legend(shown: IterationsView, g: Glyphs) -> Row:
    """The marks that are there, most telling first."""
    row: Row = []
    if odd := shown.count("outlier"):
        row += [(f"{g('▲')} ", "warn"), (f"{_format_plural(odd, 'outlier')}   ", "muted")]
    if gone := shown.count("discarded"):
        row += [(f"{g('✗')} ", "warn"), (f"{gone} discarded   ", "muted")]
    if before := shown.count("dropped"):
        row += [(f"{g('│')} ", "muted"), (f"steady after {before}   ", "muted")]
    if warm := shown.count("warmup"):
        row += [(f"{g('░')} ", "border"), (f"{warm} warm-up   ", "muted")]
    if any(_get_overflow_sign(v, shown) and k not in SIGNS for v, k in _iter_pairs(shown)):
        row += [(f"{g('↑↓')} ", "muted"), ("off the scale   ", "muted")]
    if shown.count("first"):
        row += [(f"{g('○')} ", "muted"), ("first   ", "muted")]
    return row


def _iter_pairs(shown: IterationsView) -> Iterator[tuple[float, IterationKind]]:
    return zip(shown.values, shown.kinds, strict=True)


def _get_overflow_sign(value: float, shown: IterationsView) -> str:
    """Where a value lies that the scale does not hold."""
    return "↑" if value > shown.high else "↓" if value < shown.low else ""


def _format_plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _render_points(
    shown: IterationsView, axis: IterationAxis, left: int, right: int, height: int, g: Glyphs
) -> list[Row]:
    """One dot an iteration; those that do not count as usual have a sign of their own."""
    if height <= 0:
        return []
    width = axis.lead + axis.body
    field = Canvas(width, height, g, "•")
    if not shown.values:
        said = f"no {shown.one} yet" if shown.waits else f"no {shown.one} was made"
        row: Row = [(" " * left, "text"), (fit(said, width, mark=g("…")), "muted")]
        return [[], row, *([] for _ in range(height - 2))][:height] if height > 1 else [row]
    _draw_ground(shown, axis, field, g)
    # Where there is room a point has more dots of its cell than its own, to be seen better.
    wide = field.fine and axis.room <= axis.body
    larger = LARGE if wide and height >= LARGE_FROM else LARGE[: 2 if wide else 1]
    signs: list[tuple[str, int, int, str]] = []
    for i, (value, kind) in reversed(list(enumerate(_iter_pairs(shown)))):
        sign = SIGNS.get(kind) or _get_overflow_sign(value, shown)
        if sign:
            signs.append((sign, axis.column(i), _find_row(value, shown, field), ROLES[kind]))
            continue
        x = axis.lead * field.per + (2 * i + 1) * axis.body * field.per // (2 * axis.room)
        y = _compute_level(value, shown, field.down)
        for dx, dy in larger:
            field.dot(x ^ dx, y ^ dy, ROLES[kind])
    for sign, column, y, role in sorted(signs, key=lambda each: RANK.index(each[0])):
        field.put(column, y, g(sign), role)
    labels = {height - 1: shown.low, 0: shown.high} if height > 1 else {}
    return [
        [
            *([(fit(_format_label(labels, y), left - 1, "right") + " ", "muted")] if left else []),
            *row,
            *(_render_mean_mark(shown, y, field, right, g) if right else []),
        ]
        for y, row in enumerate(field.rows())
    ]


def _format_label(labels: dict[int, float], y: int) -> str:
    return formatting.format_ms(labels[y]) if y in labels else ""


def _compute_level(value: float, shown: IterationsView, down: int) -> int:
    """Rows of dots from the top; what is beyond the scale stands at its end."""
    return down - 1 - round(compute_share(value, shown.low, shown.high) * (down - 1))


def _find_row(value: float, shown: IterationsView, field: Canvas) -> int:
    """The row of the field that holds the dot of a value."""
    return field.cell(0, _compute_level(value, shown, field.down))[1]


def _draw_ground(shown: IterationsView, axis: IterationAxis, field: Canvas, g: Glyphs) -> None:
    """The start of the steady part, the mean as a line over what it is made of, warm-up shaded."""
    warm = next((i for i, k in enumerate(shown.kinds) if k not in ("first", "warmup")), None)
    start = shown.steady_from
    if start is not None:
        for y in range(field.height):
            field.ground(axis.edge(start), y, g("│"), "muted")
    if shown.mean is not None and warm is not None:
        y = _find_row(shown.mean, shown, field)
        for x in range(axis.edge(start or warm), axis.edge(len(shown.values))):
            field.ground(x, y, g("╌"), "border")
    until = axis.edge(len(shown.kinds) if warm is None else warm)
    for x in range(axis.lead, until):
        for y in range(field.height):
            field.ground(x, y, g("░"), "border")


def _render_mean_mark(shown: IterationsView, y: int, field: Canvas, width: int, g: Glyphs) -> Row:
    """The rows that the interval takes, and the mean in words beside its own."""
    if shown.mean is None:
        return []
    low, high = shown.ci95 or (shown.mean, shown.mean)
    bottom, at, top = (_find_row(v, shown, field) for v in (low, shown.mean, high))
    if y == at:
        return [(g("├" if shown.ci95 else "─"), "text"), (fit(" mean", width - 1), "muted")]
    return [(g("│"), "text")] if top <= y <= bottom else []
