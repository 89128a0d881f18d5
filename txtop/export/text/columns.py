"""Figures and columns of plain text."""

from __future__ import annotations


def align_columns(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> list[str]:
    """Rows as lines with columns of one width, each to its side."""
    widths = [max(len(line[i]) for line in rows) for i in range(len(heading))]
    return [
        "  ".join(
            f"{text:{side}{width}}"
            for text, width, (_, side) in zip(line, widths, heading, strict=True)
        ).rstrip()
        for line in rows
    ]
