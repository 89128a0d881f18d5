"""The histogram of latencies: one row a range, with its count and the percentiles in it."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.models.cell_detail.histogram import Bin, HistogramView, compute_bins, find_bin

RANGE_WIDTH, COUNT_WIDTH, MARK_WIDTH = 9, 8, 11
MIN_BAR_WIDTH = 4


def render_needed_samples(view: HistogramView) -> Row:
    """Render `p90 after 64 (33 so far)` for the percentiles that lack samples."""
    missing = [mark for mark in view.marks if mark.value is None]
    if not missing or not view.values:
        return []
    later = ", ".join(f"{mark.name} after {mark.needs}" for mark in missing)
    return [(f"{later} (", "muted"), (str(view.n), "text"), (" so far)", "muted")]


def render_histogram(view: HistogramView, area: Area) -> list[Row]:
    """Render at most `area.height` rows, the shortest latencies on top; the counts add up to all
    samples."""
    g = area.glyphs
    if not view.values:
        return [[(view.why or g(formatting.MISSING), "muted")]][: max(0, area.height)]
    rows = compute_bins(view.values, area.height)
    most = max((row.count for row in rows), default=1)
    marks: dict[int, list[str]] = {}
    for mark in view.marks:
        if mark.value is not None:
            name = f"{mark.name} {formatting.format_ms(mark.value)}"
            marks.setdefault(find_bin(mark.value, rows), []).append(name)
    wide = MARK_WIDTH * max((len(names) for names in marks.values()), default=1) + 2
    wide = wide if area.width >= RANGE_WIDTH + COUNT_WIDTH + wide + MIN_BAR_WIDTH else 0
    count = COUNT_WIDTH if area.width >= RANGE_WIDTH + COUNT_WIDTH + wide + MIN_BAR_WIDTH else 0
    across = max(0, area.width - RANGE_WIDTH - count - wide)
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
    """Draw a bar in proportion, or a mark for a count too small for one column."""
    long = round(count * width / most)
    sign = g("━") * long if long else g("·") if count else ""
    return fit(sign, width)


def _render_marks(names: list[str], width: int, g: Glyphs) -> Row:
    if not names:
        return [(" " * width, "text")]
    return [(f" {g('◂')} ", "muted"), (fit("  ".join(names), width - 3), "text.bold")]


def count_decimals(rows: list[Bin]) -> int:
    """Return the digits after the point that tell the edges of the bins apart."""
    steps = [row.high - row.low for row in rows if row.low is not None and row.high is not None]
    step = min(steps, default=1.0)
    return next((d for d in range(6) if abs(step - round(step, d)) < 1e-6 * step), 6)


def format_bin_start(row: Bin, digits: int) -> str:
    """Format the lower edge of a bin."""
    if row.low is None:
        return f"< {row.high:,.{digits}f}"
    return f"{row.low:,.{digits}f}" + (" +" if row.high is None else "")
