"""The confidence intervals of an A/B, one row a block, beside the margin band."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, Span, fit, measure_text, merge_cells
from txtop.ui.models.ab_comparison import FunnelInterval

LABEL_WIDTH, SMALL_LABEL_WIDTH = 10, 8
MIN_RATIO, MAX_RATIO = 0.01, 100.0
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
MIN_TICK_WIDTH = 8
CROSSINGS = {"─": "┼", "━": "┿"}


def compute_ratio_range(looks: Sequence[FunnelInterval], margin: float) -> tuple[float, float]:
    """Return the ratios at the two ends of the axis, rounded to 0.05.

    The range covers all intervals, 0.95 to 1.05, and the margin band. The first interval is the
    widest, so that the axis hardly moves later. Whatever lies beyond 0.01 to 100 is not drawn to
    scale.
    """
    ends = [1 / (1 + margin), 1 + margin, 0.95, 1.05]
    for look in looks:
        ends += [look.low, look.high]
    low, high = max(MIN_RATIO, min(ends)), min(MAX_RATIO, max(ends))
    room = 0.05 * (high - low)
    return max(0.0, math.floor((low - room) * 20) / 20), math.ceil((high + room) * 20) / 20


def render_funnel(
    looks: Sequence[FunnelInterval],
    margin: float,
    role: str,
    area: Area,
    *,
    small: bool,
    unit: str = "block",
) -> list[Row]:
    """Render the intervals, the newest heavy and at the bottom, then the axis.

    Where some are left out, a mark stands behind the one before them. `role` is the colour of an
    interval that is clear of the band; `unit` names what the intervals are over.
    """
    g = area.glyphs
    label = SMALL_LABEL_WIDTH if small else LABEL_WIDTH
    across, down = area.width - label, area.height - 1
    if across < 16 or down < 1:
        return [[] for _ in range(max(0, area.height))]
    visible = _select_shown(looks, down)
    ends = compute_ratio_range(looks, margin)
    draw = RatioAxis(*ends, across, margin)
    rows: list[Row] = []
    for i, look in enumerate(visible):
        newest = i == len(visible) - 1
        skips = i == 0 and 1 < len(visible) < len(looks)
        name = f"{unit} {look.block}"
        marked = f"{name} {g('…')}"
        name = fit(marked if skips and measure_text(marked) <= label else name, label)
        rows.append(
            [(name, "text.bold" if newest else "muted"), *draw.interval(look, role, newest, g)]
        )
    rows += [[(" " * label, "muted"), *draw.empty(g)] for _ in range(down - len(rows))]
    rows.append([(fit("B / A", label), "muted"), (draw.ticks(), "muted")])
    return rows


def _select_shown(looks: Sequence[FunnelInterval], most: int) -> list[FunnelInterval]:
    """Return the newest intervals; if they do not all fit, the first one stays on top."""
    if len(looks) <= most:
        return list(looks)
    if most < 2:
        return list(looks[-most:])
    return [looks[0], *looks[len(looks) - most + 1 :]]


class RatioAxis:
    """The positions of ratios from `low` to `high` over `width` columns."""

    def __init__(self, low: float, high: float, width: int, margin: float) -> None:
        self._low, self._high, self._width = low, high, width
        self._band = (self.place(1 / (1 + margin)), self.place(1 + margin))
        self._unity = self.place(1.0)

    def place(self, ratio: float) -> int:
        """Return the column of a ratio, clamped to the ends."""
        share = (ratio - self._low) / (self._high - self._low)
        return min(self._width - 1, max(0, round(share * (self._width - 1))))

    def _ground(self, x: int) -> tuple[str, str]:
        if x == self._unity:
            return "│", "muted"
        return ("░", "border") if self._band[0] <= x <= self._band[1] else (" ", "text")

    def empty(self, g: Glyphs) -> Row:
        """Draw the band and the line of unity alone."""
        return _draw(map(self._ground, range(self._width)), g)

    def interval(self, look: FunnelInterval, role: str, newest: bool, g: Glyphs) -> Row:
        """Draw one interval over the band; the newest is heavy.

        An end that lies beyond the axis is an arrow, and a ratio there has no dot.
        """
        start, end, middle = map(self.place, (look.low, look.high, look.ratio))
        colour = self._colour(look, role, newest)
        bar, left, right, dot = "━┣┫●" if newest else "─├┤•"
        row = [self._ground(x) for x in range(self._width)]
        for x in range(start, end + 1):
            crosses = x == self._unity or (x in self._band and start < x < end)
            row[x] = (CROSSINGS[bar] if crosses else bar, colour)
        row[start], row[end] = (left, colour), (right, colour)
        if self._low <= look.ratio <= self._high:
            row[middle] = (dot, colour)
        if look.low < self._low:
            row[start] = ("◂", colour)
        if look.high > self._high:
            row[end] = ("▸", colour)
        return _draw(row, g)

    def _colour(self, look: FunnelInterval, role: str, newest: bool) -> str:
        if not look.counts:
            return "muted"
        if look.high < self._ratio_of(self._band[0]) or look.low > self._ratio_of(self._band[1]):
            return f"{role}.bold" if newest else role
        return "text.bold" if newest else "plot"

    def _ratio_of(self, x: int) -> float:
        return self._low + x / (self._width - 1) * (self._high - self._low)

    def ticks(self) -> str:
        """Format ratios in the smallest step that leaves room between them."""
        most = max(2, self._width // MIN_TICK_WIDTH)
        step = next((s for s in STEPS if (self._high - self._low) / s <= most), STEPS[-1])
        line = [" "] * self._width
        number = math.ceil(self._low / step - 1e-9)
        while number * step <= self._high + 1e-9:
            text = f"{number * step:.2f}" if step < 0.1 else f"{number * step:.1f}"
            text = f"{number * step:.0f}" if step >= 1 else text
            at = self.place(number * step) - len(text) // 2
            free = 0 <= at <= self._width - len(text)
            if free and not any(c != " " for c in line[max(0, at - 1) : at + len(text) + 1]):
                line[at : at + len(text)] = text
            number += 1
        return "".join(line)


def _draw(cells: Iterable[Span], g: Glyphs) -> Row:
    return merge_cells((g(character), role) for character, role in cells)
