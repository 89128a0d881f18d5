"""Bars under the table of cells where it has the room: each figure of all cells on one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.bar_block import GAP, Bar, compute_bar_width, render_bar_block
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_text
from txtop.ui.models.cells import CellRow


def render_cell_bars(
    rows: Sequence[CellRow],
    figures: Sequence[tuple[str, str, bool]],
    name: Callable[[CellRow], str],
    area: Area,
    cursor: int | None,
) -> list[Row]:
    """Render a block a figure, one row a cell that has it; those blocks that fit as a whole.

    `figures` are (field of the row, heading, whether more is better).
    """
    g = area.glyphs
    named = max((measure_text(clean(g(name(row)))) for row in rows), default=0)
    bar_width = compute_bar_width(area.width, 2 + named + GAP)
    drawn: list[Row] = []
    for field, heading, more in figures:
        bars = []
        for i, row in enumerate(rows):
            text = getattr(row, field)
            value = _read_number(text)
            if value is None:
                continue
            text_role = "text.bold" if i == cursor else "text"
            label = [(f"  {fit(g(name(row)), named)}" + " " * GAP, text_role)]
            role = "accent-a" if row.state == "running" else "plot"
            bars.append(Bar(label, text, text_role, value, role))
        better = "more" if more else "less"
        room = area.height - len(drawn)
        drawn += render_bar_block(f"{heading}, {better} is better", bars, bar_width, room, g)
    return [crop(row, area.width) for row in drawn]


def _read_number(text: str) -> float | None:
    """Read a figure of the table; None for `—`, `…`, a forecast, and zero, which has no scale."""
    try:
        return float(text.replace(",", "")) or None
    except ValueError:
        return None
