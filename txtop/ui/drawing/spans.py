"""Rows of text with roles, measured, cut and padded in terminal cells rather than characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from rich.cells import get_character_cell_size

from txtop.sanitise import sanitise
from txtop.ui.drawing.glyphs import ASCII_FALLBACKS

Span = tuple[str, str]
Row = list[Span]
Align = Literal["left", "right"]
MIN_ENDS_GAP = 2
# Characters that join with a neighbour: terminals disagree about the width of the pair.
_JOINERS = ((0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF))


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """Return sanitised text in which every character is one or two cells wide on its own."""
    text = sanitise(text)
    if text.isascii():
        return text
    kept = []
    for character in unicodedata.normalize("NFC", text):
        if any(low <= ord(character) <= high for low, high in _JOINERS):
            kept.append("?")
        elif character.isspace():
            kept.append(" " * max(1, get_character_cell_size(character)))
        elif get_character_cell_size(character) > 0:
            kept.append(character)
    return "".join(kept)


def to_ascii(text: str) -> str:
    """Replace every character that no renderer replaced, cell for cell."""
    if text.isascii():
        return text
    return "".join(
        c if c.isascii() else (ASCII_FALLBACKS.get(c) or "?")[0] * get_character_cell_size(c)
        for c in text
    )


@lru_cache(maxsize=8192)
def measure_text(text: str) -> int:
    """Return the columns of a clean text."""
    if text.isascii():
        return len(text)
    return sum(map(get_character_cell_size, text))


def cut(text: str, width: int, mark: str = "…") -> str:
    """Cut a clean text to `width` columns; `mark` ends a text that was cut."""
    if measure_text(text) <= width:
        return text
    room = width - measure_text(mark)
    if room < 0:
        mark, room = "", max(0, width)
    kept, used = [], 0
    for character in text:
        used += get_character_cell_size(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept) + mark


def fit(text: str, width: int, align: Align = "left", mark: str = "…") -> str:
    """Clean `text` and pad or cut it to exactly `width` columns."""
    text = cut(clean(text), max(0, width), mark)
    space = " " * (max(0, width) - measure_text(text))
    return space + text if align == "right" else text + space


def wrap(text: str, width: int, most: int, mark: str = "…") -> list[str]:
    """Wrap `text` into at most `most` lines, at spaces if possible; the last line is cut."""
    left = clean(text).strip()
    lines: list[str] = []
    while left and len(lines) < most - 1 and measure_text(left) > width:
        part = cut(left, width, "")
        if " " in part and not left[len(part) :].startswith(" "):
            part = part[: part.rindex(" ")]
        lines.append(part)
        left = left[len(part) :].lstrip()
        if not part:
            break
    return [*lines, cut(left, width, mark)]


def measure_row(row: Row) -> int:
    """Return the columns of a row."""
    return sum(measure_text(clean(text)) for text, _ in row)


def crop(row: Row, width: int) -> Row:
    """Cut a row to `width` columns and pad it with spaces to exactly that."""
    kept: Row = []
    left = max(0, width)
    for text, role in row:
        text = clean(text)
        wide = measure_text(text)
        if wide > left:
            text = fit(text, left, mark="")
            wide = left
        if text:
            kept.append((text, role))
        left -= wide
        if left <= 0:
            break
    if left > 0:
        kept.append((" " * left, kept[-1][1] if kept else "text"))
    return kept


def join_ends(left: Row, right: Row, width: int) -> Row:
    """Put `left` and `right` at the two ends of a row; drop `right` if there is no gap between."""
    used, end = measure_row(left), measure_row(right)
    if used + MIN_ENDS_GAP + end > width:
        return crop(left, width)
    return [*left, (" " * (width - used - end), "text"), *right]


def merge_cells(cells: Iterable[Span]) -> Row:
    """Join neighbours of one role; spaces have no colour and join the span before them."""
    row: Row = []
    for text, role in cells:
        if row and (row[-1][1] == role or text.isspace()):
            row[-1] = (row[-1][0] + text, row[-1][1])
        else:
            row.append((text, role))
    return row


def fit_block(rows: list[Row], width: int, height: int) -> list[Row]:
    """Cut and pad to exactly `height` rows of exactly `width` columns."""
    lines = [crop(row, width) for row in rows[: max(0, height)]]
    return lines + [crop([], width) for _ in range(max(0, height) - len(lines))]
