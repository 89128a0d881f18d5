"""Latencies by how often they came: a row a range, with its count and the percentiles in it."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.models.cell_detail.histogram import Bin, Spread, bins, row_of

RANGE, COUNT, MARK = 9, 8, 11
LEAST_BAR = 4


def needs(shown: Spread) -> Row:
    """`p90 need 64, have 33`: the first percentile that cannot be said yet."""
    missing = [mark for mark in shown.marks if mark.value is None]
    if not missing or not shown.values:
        return []
    named = " ".join(mark.name for mark in missing)
    return [(f"{named} need {missing[0].needs}, have ", "muted"), (str(shown.n), "text")]


def histogram(shown: Spread, width: int, height: int, g: Glyphs) -> list[Row]:
    """At most `height` rows, the shortest latencies on top; the counts add up to all of them."""
    if not shown.values:
        return [[(shown.why or g(formatting.MISSING), "muted")]][: max(0, height)]
    rows = bins(shown.values, height)
    most = max((row.count for row in rows), default=1)
    marks: dict[int, list[str]] = {}
    for mark in shown.marks:
        if mark.value is not None:
            name = f"{mark.name} {formatting.ms(mark.value)}"
            marks.setdefault(row_of(mark.value, rows), []).append(name)
    wide = MARK * max((len(each) for each in marks.values()), default=1) + 2
    wide = wide if width >= RANGE + COUNT + wide + LEAST_BAR else 0
    count = COUNT if width >= RANGE + COUNT + wide + LEAST_BAR else 0
    across = max(0, width - RANGE - count - wide)
    digits = decimals(rows)
    return [
        [
            (fit(g(said(row, digits)), RANGE - 1, "right") + " ", "muted"),
            (_bar(row.count, most, across, g), "plot"),
            *([(fit(f"{row.count:,}" if row.count else "", count, "right"), "text")]
              if count else []),
            *(_marks(marks.get(y, []), wide, g) if wide else []),
        ]
        for y, row in enumerate(rows)
    ]  # fmt: skip


def _bar(count: int, most: int, width: int, g: Glyphs) -> str:
    """In proportion, with a mark of its own for what is too little for a column."""
    long = round(count * width / most)
    sign = g("━") * long if long else g("·") if count else ""
    return fit(sign, width)


def _marks(names: list[str], width: int, g: Glyphs) -> Row:
    if not names:
        return [(" " * width, "text")]
    return [(f" {g('◂')} ", "muted"), (fit("  ".join(names), width - 3), "text.bold")]


def decimals(rows: list[Bin]) -> int:
    """Digits after the point that tell the edges apart."""
    steps = [row.high - row.low for row in rows if row.low is not None and row.high is not None]
    step = min(steps, default=1.0)
    return next((d for d in range(6) if abs(step - round(step, d)) < 1e-6 * step), 6)


def said(row: Bin, digits: int) -> str:
    """Where a row begins."""
    if row.low is None:
        return f"< {row.high:,.{digits}f}"
    return f"{row.low:,.{digits}f}" + (" +" if row.high is None else "")
