"""Latencies by how often they came: a row a range, with its count and the percentiles in it."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.models.cell_detail.histogram import Bin, HistogramView, compute_bins, find_bin

RANGE_WIDTH, COUNT_WIDTH, MARK_WIDTH = 9, 8, 11
MIN_BAR_WIDTH = 4


def render_needed_samples(shown: HistogramView) -> Row:
    """`p90 need 64, have 33`: the first percentile that cannot be said yet."""
    missing = [mark for mark in shown.marks if mark.value is None]
    if not missing or not shown.values:
        return []
    later = ", ".join(f"{mark.name} after {mark.needs}" for mark in missing)
    return [(f"{later} (", "muted"), (str(shown.n), "text"), (" so far)", "muted")]


def render_histogram(shown: HistogramView, width: int, height: int, g: Glyphs) -> list[Row]:
    """At most `height` rows, the shortest latencies on top; the counts add up to all of them."""
    if not shown.values:
        return [[(shown.why or g(formatting.MISSING), "muted")]][: max(0, height)]
    rows = compute_bins(shown.values, height)
    most = max((row.count for row in rows), default=1)
    marks: dict[int, list[str]] = {}
    for mark in shown.marks:
        if mark.value is not None:
            name = f"{mark.name} {formatting.format_ms(mark.value)}"
            marks.setdefault(find_bin(mark.value, rows), []).append(name)
    wide = MARK_WIDTH * max((len(each) for each in marks.values()), default=1) + 2
    wide = wide if width >= RANGE_WIDTH + COUNT_WIDTH + wide + MIN_BAR_WIDTH else 0
    count = COUNT_WIDTH if width >= RANGE_WIDTH + COUNT_WIDTH + wide + MIN_BAR_WIDTH else 0
    across = max(0, width - RANGE_WIDTH - count - wide)
    digits = count_decimals(rows)
    return [
        [
            (fit(g(format_bin_start(row, digits)), RANGE_WIDTH - 1, "right") + " ", "muted"),
            (_draw_bar(row.count, most, across, g), "plot"),
            *([(fit(f"{row.count:,}" if row.count else "", count, "right"), "text")]
              if count else []),
            *(_render_marks(marks.get(y, []), wide, g) if wide else []),
        ]
        for y, row in enumerate(rows)
    ]  # fmt: skip


def _draw_bar(count: int, most: int, width: int, g: Glyphs) -> str:
    """In proportion, with a mark of its own for what is too little for a column."""
    long = round(count * width / most)
    sign = g("━") * long if long else g("·") if count else ""
    return fit(sign, width)


def _render_marks(names: list[str], width: int, g: Glyphs) -> Row:
    if not names:
        return [(" " * width, "text")]
    return [(f" {g('◂')} ", "muted"), (fit("  ".join(names), width - 3), "text.bold")]


def count_decimals(rows: list[Bin]) -> int:
    """Digits after the point that tell the edges apart."""
    steps = [row.high - row.low for row in rows if row.low is not None and row.high is not None]
    step = min(steps, default=1.0)
    return next((d for d in range(6) if abs(step - round(step, d)) < 1e-6 * step), 6)


def format_bin_start(row: Bin, digits: int) -> str:
    """Where a row begins."""
    if row.low is None:
        return f"< {row.high:,.{digits}f}"
    return f"{row.low:,.{digits}f}" + (" +" if row.high is None else "")
