"""Rows of text with roles: measured, cut and filled in terminal cells, never in characters."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

from rich.cells import get_character_cell_size

from txtop.sanitise import sanitise
from txtop.ui.drawing.glyphs import ASCII_FALLBACKS

Span = tuple[str, str]
Row = list[Span]
Align = Literal["left", "right"]
# Marks that join with a neighbour: terminals disagree on what the pair's width is.
_JOINERS = ((0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF))


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """Foreign text made inert, every character of it one or two cells wide on its own."""
    text = sanitise(text)
    if text.isascii():
        return text
    found = []
    for character in unicodedata.normalize("NFC", text):
        if any(low <= ord(character) <= high for low, high in _JOINERS):
            found.append("?")
        elif character.isspace():
            found.append(" " * max(1, get_character_cell_size(character)))
        elif get_character_cell_size(character) > 0:
            found.append(character)
    return "".join(found)


def to_ascii(text: str) -> str:
    """The last word on ASCII: what no builder replaced, cell for cell."""
    if text.isascii():
        return text
    return "".join(
        c if c.isascii() else (ASCII_FALLBACKS.get(c) or "?")[0] * get_character_cell_size(c)
        for c in text
    )


@lru_cache(maxsize=8192)
def measure_text(text: str) -> int:
    """Columns that a clean text takes."""
    if text.isascii():
        return len(text)
    return sum(map(get_character_cell_size, text))


def cut(text: str, width: int, mark: str = "…") -> str:
    """At most `width` columns of a clean text, ended by `mark` where something was left out."""
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
    """Any text made clean and exactly `width` columns wide."""
    text = cut(clean(text), max(0, width), mark)
    space = " " * (max(0, width) - measure_text(text))
    return space + text if align == "right" else text + space


def wrap(text: str, width: int, most: int, mark: str = "…") -> list[str]:
    """Any text over at most `most` lines, broken at spaces where there are any."""
    left = clean(text).strip()
    lines: list[str] = []
    while left and len(lines) < most - 1 and measure_text(left) > width:
        part = cut(left, width, "")
        if " " in part:
            part = part[: part.rindex(" ")]
        lines.append(part)
        left = left[len(part) :].lstrip()
        if not part:
            break
    return [*lines, cut(left, width, mark)]


def measure_row(row: Row) -> int:
    """Columns of a row."""
    return sum(measure_text(clean(text)) for text, _ in row)


def crop(row: Row, width: int) -> Row:
    """The first `width` columns of a row, filled with spaces to just that."""
    found: Row = []
    left = max(0, width)
    for text, role in row:
        text = clean(text)
        wide = measure_text(text)
        if wide > left:
            text = fit(text, left, mark="")
            wide = left
        if text:
            found.append((text, role))
        left -= wide
        if left <= 0:
            break
    if left > 0:
        found.append((" " * left, found[-1][1] if found else "text"))
    return found


def join_ends(left: Row, right: Row, width: int, gap: int = 2) -> Row:
    """`left` and `right` at the two ends; the right one gives way where both do not fit."""
    taken, wanted = measure_row(left), measure_row(right)
    if taken + gap + wanted > width:
        return crop(left, width)
    return [*left, (" " * (width - taken - wanted), "text"), *right]


def fit_block(rows: list[Row], width: int, height: int) -> list[Row]:
    """Exactly `height` rows of exactly `width` columns."""
    shown = [crop(row, width) for row in rows[: max(0, height)]]
    return shown + [crop([], width) for _ in range(max(0, height) - len(shown))]
