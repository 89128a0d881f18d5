"""Align the columns of plain-text tables."""

from __future__ import annotations


def align_columns(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> list[str]:
    """Return rows as lines with columns of equal width, each aligned to the side in `heading`."""
    widths = [max(len(line[i]) for line in rows) for i in range(len(heading))]
    return [
        "  ".join(
            f"{text:{side}{width}}"
            for text, width, (_, side) in zip(line, widths, heading, strict=True)
        ).rstrip()
        for line in rows
    ]
