"""Figures and columns of plain text."""

from __future__ import annotations

import math

MISSING = "—"


def figure(value: float | None) -> str:
    """Three significant digits, never an exponent; `—` where there is none."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    leading_zeros = min(6, -math.floor(math.log10(size)) - 1) if 0 < size < 1 else 0
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3 + leading_zeros}f}"


def aligned(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> list[str]:
    """Rows as lines with columns of one width, each to its side."""
    widths = [max(len(line[i]) for line in rows) for i in range(len(heading))]
    return [
        "  ".join(
            f"{text:{side}{width}}"
            for text, width, (_, side) in zip(line, widths, heading, strict=True)
        ).rstrip()
        for line in rows
    ]
