"""Every iteration as a point, and what the machine did meanwhile under it, over one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from txtop import formatting
from txtop.stats.summary import compute_relative_half_width
from txtop.ui.drawing.canvas import Canvas
from txtop.ui.drawing.charts import share
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, ends, fit, row_width
from txtop.ui.models.cell_detail.iterations import Kind, Strip
from txtop.ui.models.cell_detail.telemetry import Trace
from txtop.ui.panels.cell_detail.iteration_axis import Axis, rule, ticks
from txtop.ui.panels.cell_detail.telemetry import trace

LEFT, RIGHT = 7, 10
LEAST_PLOT = 12
LEAST_HEIGHT = 3
MOST_TRACE = 3
AIRY_FROM = 14
LARGE_FROM = 10
LARGE = ((0, 0), (1, 0), (0, 1), (1, 1))
ROLES: dict[Kind, str] = {
    "measured": "accent-a",
    "outlier": "warn",
    "first": "muted",
    "warmup": "muted",
    "dropped": "muted",
    "discarded": "warn",
}
SIGNS: dict[Kind, str] = {"first": "○", "outlier": "▲", "discarded": "✗"}
# Of several in one place the first is seen.
RANK = "▲✗○↓↑"


def strip(shown: Strip, traces: Sequence[Trace], width: int, height: int, g: Glyphs) -> list[Row]:
    """`height` rows: what it amounts to, the points, the axis with its numbers, then the machine.

    Where there is little room the machine goes first, series by series.
    """
    left = LEFT if width >= LEFT + LEAST_PLOT else 0
    right = RIGHT if width >= left + LEAST_PLOT + RIGHT else 0
    axis = Axis.of(shown, width - left - right)
    top = _heading(shown, width, g, airy=height >= AIRY_FROM)
    under: list[Row] = [
        [(" " * left, "text"), *rule(shown, axis, g)],
        [(" " * left, "text"), (ticks(shown, axis), "muted")],
    ]
    rest = height - len(top) - len(under)
    drawn = traces[: max(0, rest - (LEAST_HEIGHT if shown.values else 1))]
    room = rest // 3 if shown.values else rest - 1
    rows = max(1, min(MOST_TRACE, room // len(drawn))) if drawn else 0
    for each in drawn:
        under += trace(each, axis, left, right, 1 if each.flags else rows, g)
    plot = max(0, height - len(top) - len(under))
    return [*top, *_points(shown, axis, left, right, plot, g), *under][: max(0, height)]


def _heading(shown: Strip, width: int, g: Glyphs, *, airy: bool) -> list[Row]:
    """What it amounts to and what the marks mean, in one row, or two where there is room."""
    summary, key = _summary(shown, g), _key(shown, g)
    if airy and key and row_width(summary) + row_width(key) + 2 > width:
        return [summary, key]
    while key and row_width(summary) + row_width(key) + 2 > width:
        key = key[:-2]
    return [ends(summary, key, width)]


def _summary(shown: Strip, g: Glyphs) -> Row:
    """Mean, interval, and of how many."""
    row: Row = [(f"{shown.label} ", "muted")]
    if shown.mean is None:
        row.append((g(formatting.PENDING if shown.waits else formatting.MISSING), "text"))
    else:
        row += [(formatting.ms(shown.mean), "text.bold"), (" ms", "muted")]
    half = compute_relative_half_width(shown.mean, shown.ci95)
    if half is not None:
        row.append((f"  {g(formatting.half(half))}  {formatting.interval(shown.ci95)}", "text"))
    row.append(("   n ", "muted"))
    return [*row, (str(shown.counted), "text")]


def _key(shown: Strip, g: Glyphs) -> Row:
    """The marks that are there, most telling first."""
    row: Row = []
    if odd := shown.count("outlier"):
        row += [(f"{g('▲')} ", "warn"), (f"{_plural(odd, 'outlier')}   ", "muted")]
    if gone := shown.count("discarded"):
        row += [(f"{g('✗')} ", "warn"), (f"{gone} discarded   ", "muted")]
    if before := shown.count("dropped"):
        row += [(f"{g('│')} ", "muted"), (f"steady after {before}   ", "muted")]
    if warm := shown.count("warmup"):
        row += [(f"{g('░')} ", "border"), (f"{warm} warm-up   ", "muted")]
    if any(_beyond(v, shown) and k not in SIGNS for v, k in _pairs(shown)):
        row += [(f"{g('↑↓')} ", "muted"), ("off the scale   ", "muted")]
    if shown.count("first"):
        row += [(f"{g('○')} ", "muted"), ("first   ", "muted")]
    return row


def _pairs(shown: Strip) -> Iterator[tuple[float, Kind]]:
    return zip(shown.values, shown.kinds, strict=True)


def _beyond(value: float, shown: Strip) -> str:
    """Where a value lies that the scale does not hold."""
    return "↑" if value > shown.high else "↓" if value < shown.low else ""


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _points(shown: Strip, axis: Axis, left: int, right: int, height: int, g: Glyphs) -> list[Row]:
    """One dot an iteration; those that do not count as usual have a sign of their own."""
    if height <= 0:
        return []
    width = axis.lead + axis.body
    field = Canvas(width, height, g, "•")
    if not shown.values:
        said = f"no {shown.one} yet" if shown.waits else f"no {shown.one} was made"
        row: Row = [(" " * left, "text"), (fit(said, width, mark=g("…")), "muted")]
        return [[], row, *([] for _ in range(height - 2))][:height] if height > 1 else [row]
    _ground(shown, axis, field, g)
    # Where there is room a point has more dots of its cell than its own, to be seen better.
    wide = field.fine and axis.room <= axis.body
    larger = LARGE if wide and height >= LARGE_FROM else LARGE[: 2 if wide else 1]
    signs: list[tuple[str, int, int, str]] = []
    for i, (value, kind) in reversed(list(enumerate(_pairs(shown)))):
        sign = SIGNS.get(kind) or _beyond(value, shown)
        if sign:
            signs.append((sign, axis.column(i), _row_of(value, shown, field), ROLES[kind]))
            continue
        x = axis.lead * field.per + (2 * i + 1) * axis.body * field.per // (2 * axis.room)
        y = _level(value, shown, field.down)
        for dx, dy in larger:
            field.dot(x ^ dx, y ^ dy, ROLES[kind])
    for sign, column, y, role in sorted(signs, key=lambda each: RANK.index(each[0])):
        field.put(column, y, g(sign), role)
    labels = {height - 1: shown.low, 0: shown.high} if height > 1 else {}
    return [
        [
            *([(fit(_label(labels, y), left - 1, "right") + " ", "muted")] if left else []),
            *row,
            *(_mean_mark(shown, y, field, right, g) if right else []),
        ]
        for y, row in enumerate(field.rows())
    ]


def _label(labels: dict[int, float], y: int) -> str:
    return formatting.ms(labels[y]) if y in labels else ""


def _level(value: float, shown: Strip, down: int) -> int:
    """Rows of dots from the top; what is beyond the scale stands at its end."""
    return down - 1 - round(share(value, shown.low, shown.high) * (down - 1))


def _row_of(value: float, shown: Strip, field: Canvas) -> int:
    """The row of the field that holds the dot of a value."""
    return field.cell(0, _level(value, shown, field.down))[1]


def _ground(shown: Strip, axis: Axis, field: Canvas, g: Glyphs) -> None:
    """The start of the steady part, the mean as a line over what it is made of, warm-up shaded."""
    warm = next((i for i, k in enumerate(shown.kinds) if k not in ("first", "warmup")), None)
    start = shown.steady_from
    if start is not None:
        for y in range(field.height):
            field.ground(axis.edge(start), y, g("│"), "muted")
    if shown.mean is not None and warm is not None:
        y = _row_of(shown.mean, shown, field)
        for x in range(axis.edge(start or warm), axis.edge(len(shown.values))):
            field.ground(x, y, g("╌"), "border")
    until = axis.edge(len(shown.kinds) if warm is None else warm)
    for x in range(axis.lead, until):
        for y in range(field.height):
            field.ground(x, y, g("░"), "border")


def _mean_mark(shown: Strip, y: int, field: Canvas, width: int, g: Glyphs) -> Row:
    """The rows that the interval takes, and the mean in words beside its own."""
    if shown.mean is None:
        return []
    low, high = shown.ci95 or (shown.mean, shown.mean)
    bottom, at, top = (_row_of(v, shown, field) for v in (low, shown.mean, high))
    if y == at:
        return [(g("├" if shown.ci95 else "─"), "text"), (fit(" mean", width - 1), "muted")]
    return [(g("│"), "text")] if top <= y <= bottom else []
