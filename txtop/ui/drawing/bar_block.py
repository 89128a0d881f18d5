"""A block of bars under a heading: one figure of several things, on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit

MIN_BARS = 2
VALUE_WIDTH, GAP = 8, 2
MIN_BAR_WIDTH, MAX_BAR_WIDTH = 10, 64


@dataclass(frozen=True)
class Bar:
    """A bar of `value` behind a label and the figure as text; `role` is its colour."""

    label: Row
    text: str
    text_role: str
    value: float
    role: str


def compute_bar_width(width: int, label_width: int) -> int:
    """Return the columns of the bars beside labels of one width."""
    return min(MAX_BAR_WIDTH, width - label_width - VALUE_WIDTH - GAP)


def render_bar_block(
    heading: str, bars: Sequence[Bar], bar_width: int, height: int, g: Glyphs
) -> list[Row]:
    """Render a blank row, the heading and the bars; nothing if that does not fit or says nothing.

    One bar alone compares nothing.
    """
    if len(bars) < MIN_BARS or len(bars) + 2 > height or bar_width < MIN_BAR_WIDTH:
        return []
    most = max(bar.value for bar in bars)
    rows: list[Row] = [[], [(g(f"  {heading}"), "muted")]]
    for bar in bars:
        rows.append(
            [
                *bar.label,
                (fit(g(bar.text), VALUE_WIDTH, "right"), bar.text_role),
                (" " * GAP, "text"),
                *charts.draw_bar(bar.value / most, bar_width, g, bar.role),
            ]
        )
    return rows
