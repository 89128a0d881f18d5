"""Align the columns of plain-text tables, whose width is counted in cells of the terminal."""

from __future__ import annotations

import unicodedata


def measure_cells(text: str) -> int:
    """Return the cells that a terminal gives to `text`: two for a wide character."""
    return len(text) if text.isascii() else sum(map(_measure_character, text))


def _measure_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad_cells(text: str, width: int, side: str = "<") -> str:
    """Return `text` with spaces up to `width` cells, behind it or, with the side `>`, before it."""
    space = " " * (width - measure_cells(text))
    return space + text if side == ">" else text + space


def cut_cells(text: str, width: int) -> str:
    """Return `text` if it has at most `width` cells, else its beginning and `…`."""
    if measure_cells(text) <= width:
        return text
    kept = ""
    for character in text:
        if measure_cells(kept + character) >= width:
            break
        kept += character
    return kept + "…"


def cut_words(text: str, width: int) -> str:
    """Return `text` if it has at most `width` cells, else its first whole words and `…`."""
    if measure_cells(text) <= width:
        return text
    kept = cut_cells(text, width)[:-1]
    if text[len(kept)] not in " ,·":
        kept = kept.rpartition(" ")[0] or kept
    return kept.rstrip(" ,·") + "…"


def align_columns(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> list[str]:
    """Return rows as lines with columns of equal width, each aligned to the side in `heading`."""
    widths = [max(measure_cells(line[i]) for line in rows) for i in range(len(heading))]
    return [
        "  ".join(
            pad_cells(text, width, side)
            for text, width, (_, side) in zip(line, widths, heading, strict=True)
        ).rstrip()
        for line in rows
    ]
