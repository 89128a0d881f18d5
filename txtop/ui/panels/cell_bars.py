"""Bars under the table of cells where it has the room: each figure of all cells on one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_text
from txtop.ui.models.cells import CellRow

MIN_BARS = 2
VALUE_WIDTH, GAP = 8, 2
MIN_BAR_WIDTH, MAX_BAR_WIDTH = 10, 64


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
    bar = min(MAX_BAR_WIDTH, area.width - 2 - named - VALUE_WIDTH - 2 * GAP)
    drawn: list[Row] = []
    for field, heading, more in figures:
        values = [(i, row, _read_number(getattr(row, field))) for i, row in enumerate(rows)]
        measured = [(i, row, value) for i, row, value in values if value is not None]
        if (
            len(measured) < MIN_BARS
            or len(drawn) + len(measured) + 2 > area.height
            or bar < MIN_BAR_WIDTH
        ):
            continue
        most = max(value for *_, value in measured)
        better = "more" if more else "less"
        drawn += [[], [(f"  {heading}, {better} is better", "muted")]]
        for i, row, value in measured:
            weight = ".bold" if i == cursor else ""
            role = "accent-a" if row.state == "running" else "plot"
            drawn.append(
                [
                    (f"  {fit(g(name(row)), named)}", f"text{weight}"),
                    (fit(g(getattr(row, field)), VALUE_WIDTH + GAP, "right"), f"text{weight}"),
                    (" " * GAP, "text"),
                    *charts.draw_bar(value / most, bar, g, role),
                ]
            )
    return [crop(row, area.width) for row in drawn]


def _read_number(text: str) -> float | None:
    """Read a figure of the table; None for `—`, `…`, a forecast, and zero, which has no scale."""
    try:
        return float(text.replace(",", "")) or None
    except ValueError:
        return None
