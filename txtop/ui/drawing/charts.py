"""Sparklines, bars and the iteration chart, in braille dots, block elements or ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, merge_cells
from txtop.ui.models.round_numbers import widen_range

if TYPE_CHECKING:
    from txtop.ui.models.hero_metrics import Chart

Points = Sequence[float | None]
# The bits of the dots in a braille character, by column and from the top.
DOT_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BRAILLE_BLANK = 0x2800
# The sample that came last stands out until the next one comes.
NEWEST_ROLE = "text.bold"
_DOT_BITS_UP = tuple(column[::-1] for column in DOT_BITS)
_FILL_BITS = tuple(tuple(sum(column[:level]) for level in range(5)) for column in _DOT_BITS_UP)


def compute_share(value: float, low: float, high: float) -> float:
    """Return the position of `value` between `low` and `high`, from 0 to 1; 0.5 for an empty
    range."""
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


def _draw_codes(codes: Sequence[int]) -> str:
    return "".join(chr(BRAILLE_BLANK + code) if code else " " for code in codes)


def draw_area(
    points: Points, width: int, height: int, top: float, g: Glyphs, *, apart: bool = False
) -> list[str]:
    """Draw a rate from zero to `top`, newest at the right, filled from the bottom.

    The uppermost of the `height` rows comes first. Zero has a height too: none would look like a
    gap in the data. One that stands `apart` does not touch what is above it, unless it has one row.
    """
    if width <= 0:
        return [""] * max(0, height)
    per_column, steps = (2, 4) if g.mode == "braille" else (1, len(g.steps) - 1)
    full = steps * height - (apart and height > 1)
    newest = list(points)[-per_column * width :]
    padded = [*[None] * (per_column * width - len(newest)), *newest]
    levels = [
        0 if value is None else max(1, round(compute_share(value, 0.0, top) * full))
        for value in padded
    ]
    rows = []
    for y in reversed(range(height)):
        here = [min(steps, max(0, level - y * steps)) for level in levels]
        if per_column == 1:
            rows.append("".join(g.steps[level] for level in here))
        else:
            pairs = zip(here[::2], here[1::2], strict=True)
            rows.append(
                _draw_codes([_FILL_BITS[0][left] | _FILL_BITS[1][right] for left, right in pairs])
            )
    return rows


def draw_dotted(points: Points, width: int, g: Glyphs) -> str:
    """Draw a latency on a zoomed scale as one row, oldest at the left, one dot a point."""
    if width <= 0:
        return ""
    newest = select_newest(points, width, g)
    low, high = compute_zoom_range(newest)
    if g.mode != "braille":
        return _draw_stepped(newest, width, low, high, g).ljust(width)
    codes = [0] * width
    for x, value in enumerate(newest):
        if value is not None:
            codes[x // 2] |= _DOT_BITS_UP[x % 2][round(compute_share(value, low, high) * 3)]
    return _draw_codes(codes)


def select_newest(points: Points, width: int, g: Glyphs) -> Points:
    """Return the points that a row of `width` columns shows."""
    return list(points)[-2 * width :] if g.mode == "braille" else list(points)[-width:]


def compute_zoom_range(points: Points) -> tuple[float, float]:
    """Return the median ±10 %, widened until it holds 95 % of the points, with round ends."""
    values = [value for value in points if value is not None]
    if not values:
        return 0.0, 1.0
    return widen_range(median(values), values)


def _draw_stepped(points: Points, width: int, low: float, high: float, g: Glyphs) -> str:
    """Draw one character a point; the lowest value takes the second step, because the first is
    blank."""
    steps = g.steps
    return "".join(
        " "
        if value is None
        else steps[1 + round(compute_share(value, low, high) * (len(steps) - 2))]
        for value in list(points)[-width:]
    )


def _resample_bins(chart: Chart, columns: int) -> list[tuple[float, bool] | None]:
    """Return (mean of the bins, measured) for each of `columns`; measured is False for warm-up, the
    entry is None for a column without points."""
    means: list[tuple[float, bool] | None] = [None] * columns
    planned = max(1, chart.planned)
    if planned <= columns:
        for x in range(columns):
            i = x * planned // columns
            value = chart.points[i] if i < len(chart.points) else None
            means[x] = None if value is None else (value, i >= chart.measured_from)
        return means
    under: dict[int, list[int]] = {}
    for i in range(min(len(chart.points), planned)):
        under.setdefault(i * columns // planned, []).append(i)
    for x, bins in under.items():
        values = [v for i in bins if (v := chart.points[i]) is not None]
        if values:
            means[x] = (fmean(values), bins[-1] >= chart.measured_from)
    return means


def _find_newest_columns(chart: Chart, columns: int) -> range:
    """Return the columns of the newest point while its cell goes on."""
    newest, planned = len(chart.points) - 1, max(1, chart.planned)
    if not chart.moving or newest < 0:
        return range(0)
    if planned > columns:
        first = newest * columns // planned
        return range(first, min(columns, first + 1))
    first, end = (-(-i * columns // planned) for i in (newest, newest + 1))
    return range(first, min(columns, end))


def draw_chart(chart: Chart, width: int, height: int, g: Glyphs, measured: str) -> list[Row]:
    """Draw `height` rows of `width` columns, warm-up muted and iterations that are measured in the
    role `measured`. The newest of a cell that goes on stands out."""
    if width <= 0 or height <= 0:
        return [[] for _ in range(max(0, height))]
    if chart.filled:
        means = _resample_bins(chart, 2 * width if g.mode == "braille" else width)
        heights = [None if point is None else point[0] for point in means]
        return [[(line, measured)] for line in draw_area(heights, width, height, chart.high, g)]
    if g.mode != "braille":
        return _draw_marks(chart, width, height, g, measured)
    grid = [[0] * width for _ in range(height)]
    roles = ["muted"] * width
    for x, point in enumerate(_resample_bins(chart, 2 * width)):
        if point is None:
            continue
        value, counts = point
        up = round(compute_share(value, chart.low, chart.high) * (4 * height - 1))
        grid[height - 1 - up // 4][x // 2] |= _DOT_BITS_UP[x % 2][up % 4]
        if counts:
            roles[x // 2] = measured
    for x in _find_newest_columns(chart, 2 * width):
        roles[x // 2] = NEWEST_ROLE
    return [merge_cells(zip(_draw_codes(line), roles, strict=True)) for line in grid]


def find_chart_row(value: float, chart: Chart, height: int, g: Glyphs) -> int:
    """Return the row of `draw_chart` that holds `value`."""
    steps = {"braille": 4, "ascii": 1}.get(g.mode, len(g.steps) - 1)
    up = round(compute_share(value, chart.low, chart.high) * (steps * height - 1))
    return height - 1 - up // steps


def find_mean_row(chart: Chart, height: int, g: Glyphs) -> int | None:
    """Return the row that holds the mean; None if there is no mean or it is out of the range."""
    if chart.mean is None or not chart.low <= chart.mean <= chart.high:
        return None
    return find_chart_row(chart.mean, chart, height, g)


def find_band_rows(chart: Chart, height: int, g: Glyphs) -> range:
    """Return the rows that the interval of the mean covers."""
    if chart.band is None or find_mean_row(chart, height, g) is None:
        return range(0)
    low, high = (min(chart.high, max(chart.low, end)) for end in chart.band)
    return range(find_chart_row(high, chart, height, g), find_chart_row(low, chart, height, g) + 1)


def shade_chart(rows: list[Row], chart: Chart, width: int, g: Glyphs) -> list[Row]:
    """Fill what is empty behind the points: warm-up dotted, the interval of the mean hatched, the
    mean as a rule."""
    planned = max(1, chart.planned)
    warm = min(chart.measured_from, len(chart.points)) * width // planned
    done = min(len(chart.points), planned) * width // planned
    mean = find_mean_row(chart, len(rows), g)
    band = find_band_rows(chart, len(rows), g)
    shaded = []
    for y, row in enumerate(rows):
        beyond = (g("╌"), "muted") if y == mean else None
        if y in band and beyond is None:
            beyond = g("░"), "border"
        cells = [(character, role) for text, role in row for character in text]
        cells += [(" ", "muted")] * (width - len(cells))
        for x, (character, _) in enumerate(cells):
            if character != " ":
                continue
            if x < warm:
                cells[x] = (g("·"), "border")
            elif x < done and beyond is not None:
                cells[x] = beyond
        shaded.append(merge_cells(cells))
    return shaded


def _draw_marks(chart: Chart, width: int, height: int, g: Glyphs, measured: str) -> list[Row]:
    """Draw the chart without braille: one mark a column, in the row of its value."""
    marks, dots = g.steps, [[" "] * width for _ in range(height)]
    roles = ["muted"] * width
    per_row = 1 if g.mode == "ascii" else len(marks) - 1
    for x, point in enumerate(_resample_bins(chart, width)):
        if point is None:
            continue
        value, counts = point
        up = round(compute_share(value, chart.low, chart.high) * (per_row * height - 1))
        mark = "*" if g.mode == "ascii" else marks[1 + up % per_row]
        dots[height - 1 - up // per_row][x] = mark
        if counts:
            roles[x] = measured
    for x in _find_newest_columns(chart, width):
        roles[x] = NEWEST_ROLE
    return [merge_cells(zip(line, roles, strict=True)) for line in dots]


def draw_progress_axis(chart: Chart, width: int, g: Glyphs) -> Row:
    """Draw the rule under the chart, which shows the progress of the cell."""
    planned = max(1, chart.planned)
    warm = min(chart.measured_from, len(chart.points)) * width // planned
    done = min(len(chart.points), planned) * width // planned
    return [
        (g("╌") * warm, "muted"),
        (g("━") * (done - warm), "plot"),
        (g("─") * (width - done), "border"),
    ]


def draw_bar(share: float, width: int, g: Glyphs, role: str = "plot") -> Row:
    """Draw a capacity: the used part heavy, the rest thin."""
    used = min(width, max(0, round(share * width)))
    if share > 0 and width:
        used = max(1, used)
    return [(g("━") * used, role), (g("─") * (width - used), "border")]
