"""Write a comparison across hardware as plain text, and the rows that Markdown shares."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.analysis.hardware import HardwareRow
from txtop.export.text.fitting import Heading, format_table, wrap_line
from txtop.export.text.ratios import format_ratio_cells
from txtop.formatting import MISSING, format_figure

COLUMNS = (
    ("cell", "<"),
    ("machine", "<"),
    ("rate", ">"),
    ("unit", "<"),
    ("per W", ">"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("verdict", "<"),
)
# The price of a million stands behind what a watt makes.
PRICE_AT = 5


def build_table(rows: Sequence[HardwareRow]) -> tuple[Heading, list[list[str]]]:
    """Return the headings and the fields of each row; with the price of a million where known."""
    if all(row.cost_per_million is None for row in rows):
        return COLUMNS, [_build_row(row) for row in rows]
    heading = (*COLUMNS[:PRICE_AT], ("$/M", ">"), *COLUMNS[PRICE_AT:])
    fields = []
    for row in rows:
        own = _build_row(row)
        fields.append([*own[:PRICE_AT], format_figure(row.cost_per_million), *own[PRICE_AT:]])
    return heading, fields


def _build_row(row: HardwareRow) -> list[str]:
    ratio, interval, _ = (
        format_ratio_cells(row.contrast) if row.contrast else (MISSING, MISSING, "")
    )
    figures = [format_figure(row.rate), row.unit, format_figure(row.per_watt)]
    return [row.cell, row.machine, *figures, ratio, interval, row.verdict]


def list_reasons(rows: Sequence[HardwareRow]) -> list[str]:
    """Return why cells cannot be compared, and what is to be doubted."""
    return [
        f"{row.cell} on {row.machine}: {line}"
        for row in rows
        for line in (*row.reasons, *row.notes)
    ]


def render_text(rows: Sequence[HardwareRow], width: int | None = None) -> str:
    """Render the table, and below it why cells cannot be compared, and what is to be doubted."""
    lines = format_table(*build_table(rows), width)
    if reasons := list_reasons(rows):
        lines += ["", *reasons]
    return "\n".join(part for line in lines for part in wrap_line(line, width)) + "\n"
