"""Rows of text with roles, measured, cut and padded in terminal cells rather than characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import zip_longest
from typing import Literal

from rich.cells import get_character_cell_size

from txtop.sanitise import sanitise
from txtop.ui.drawing.glyphs import ASCII_FALLBACKS, Glyphs, adapt_text, get_glyphs

Span = tuple[str, str]
Row = list[Span]
Align = Literal["left", "right"]
MIN_ENDS_GAP = 2
# Characters that join with a neighbour: terminals disagree about the width of the pair.
_JOINERS = ((0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF))

_NUMBER_AT_END = re.compile(r"[±~+-]?[0-9.,:]*$")
# What may come after a part of a number: more of it, or its unit.
_GOES_ON = re.compile(r"\w|%|[.,:][0-9]")
# A character that is two cells wide is a word of its own, as in Chinese and Japanese.
_WORD = r"[^\W_\u1100-\uffff]+"
_BETWEEN_WORDS = " -_/.:,;·(…"
# A number before the word that it counts or the unit that it has: alone it says nothing.
_COUNT_AT_END = re.compile(r"(?:^|(?<=\s))[±~+−-]?[0-9][0-9.,:]*$")
_COUNTED = re.compile(r" [^\W\d_]| %")
_OPEN_BRACKET = re.compile(r"[(\[][^()\[\]]*$")
# Where a text of several parts can end: before one more of them.
_PART = re.compile(r" {2,}| · |, |; | \(")
# Braille, frames, blocks and signs, with their forms in ASCII: half of a drawing misleads nobody.
_DRAWN = frozenset(
    " •" + "".join(map(chr, [*range(0x2500, 0x2600), *range(0x2800, 0x2900)])) + ":-=+*#|~^"
)


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


def adapt_clean(text: str) -> str:
    """Return `text` clean, and in ASCII alone where the terminal has no more."""
    return to_ascii(clean(text)) if get_glyphs().mode == "ascii" else clean(text)


@lru_cache(maxsize=8192)
def measure_text(text: str) -> int:
    """Return the columns of a clean text."""
    if text.isascii():
        return len(text)
    return sum(map(get_character_cell_size, text))


def cut(text: str, width: int, mark: str | None = None) -> str:
    """Cut a clean text to `width` columns; `mark` ends a text that was cut.

    The mark is `…` in this terminal's glyphs if None is given. Before a mark the text ends with a
    word or a part of a name: a part of a number reads as another number, a part of a word as
    another word, and a number without its unit as nothing; a bracket that is opened is closed. Only
    a word that is longer than `width` is cut itself, with little before it.
    """
    if measure_text(text) <= width:
        return text
    mark = adapt_text("…") if mark is None else mark
    room = width - measure_text(mark)
    if room < 0:
        return mark[: max(0, width)]
    kept = _take_columns(text, room)
    return (_end_with_sense(text, kept, width) if mark else kept) + mark


def cut_parts(text: str, width: int, mark: str | None) -> str:
    """Cut a clean text to `width` columns as `cut` does it, but after a whole part, if one fits."""
    if measure_text(text) <= width:
        return text
    mark = adapt_text("…") if mark is None else mark
    room = width - measure_text(mark)
    ends = (match.start() for match in _PART.finditer(text))
    fitting = [end for end in ends if measure_text(text[:end]) <= room and text[:end].strip()]
    whole = [end for end in fitting if not _OPEN_BRACKET.search(text[:end])]
    return text[: whole[-1]] + mark if whole else cut(text, width, mark)


def choose_form(forms: Iterable[str], width: int, g: Glyphs) -> str:
    """Return the first form that fits into `width` columns, else the last one, cut."""
    *_, last = drawn = [clean(g(form)) for form in forms]
    fitting = (form for form in drawn if measure_text(form) <= width)
    return next(fitting, cut_parts(last, width, g("…")))


def is_end_of_part(text: str, at: int) -> bool:
    """Return True if a part of a text ends at index `at`, where a further one begins."""
    return _PART.match(text, at) is not None


def _end_with_sense(text: str, kept: str, width: int) -> str:
    """Return the beginning `kept` of a text without half a word, number or bracket at its end."""
    kept = _end_with_word(text, kept, width)
    if _COUNTED.match(text, len(kept)) and (counted := _COUNT_AT_END.search(kept)):
        kept = kept[: counted.start()].rstrip(_BETWEEN_WORDS) or kept
    opened = _OPEN_BRACKET.search(kept)
    before = kept[: opened.start()].rstrip(_BETWEEN_WORDS) if opened else kept
    # Of a long remark in brackets the beginning is more than what stands before it.
    return before if measure_text(before) * 3 >= width else kept


def _end_with_word(text: str, kept: str, width: int) -> str:
    """Return the beginning `kept` of a text without the part of a word or number at its end."""
    if _GOES_ON.match(text, len(kept)):
        kept = _NUMBER_AT_END.sub("", kept)
    # Compiled on use: it takes several milliseconds of the start.
    word = re.compile(_WORD)
    if word.match(text, len(kept)):
        start = re.sub(_WORD + "$", "", kept)
        whole = word.match(text, len(start))
        is_short = whole is not None and measure_text(whole[0]) <= width
        if start.strip(" ….") and (is_short or measure_text(start) * 3 >= width):
            kept = start
    kept = kept.rstrip(_BETWEEN_WORDS) or kept.rstrip()
    # What was taken off may have parted a number again.
    return _NUMBER_AT_END.sub("", kept).rstrip() if _GOES_ON.match(text, len(kept)) else kept


def _take_columns(text: str, width: int) -> str:
    """Return the characters of a clean text that `width` columns hold."""
    used = 0
    for i, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > width:
            return text[:i]
    return text


def fit(text: str, width: int, align: Align = "left", mark: str | None = None) -> str:
    """Clean `text` and pad or cut it to exactly `width` columns."""
    text = cut(clean(text), max(0, width), mark)
    space = " " * (max(0, width) - measure_text(text))
    return space + text if align == "right" else text + space


def wrap(text: str, width: int, most: int, mark: str | None = None) -> list[str]:
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
    """Cut a row to `width` columns and pad it with spaces to exactly that.

    A row that loses text ends in `…`, as `cut` does it; drawings and spaces are cut without it.
    """
    width = max(0, width)
    cells = [(clean(text), role) for text, role in row]
    if sum(measure_text(text) for text, _ in cells) > width:
        cells = _shorten(cells, width)
    kept = [(text, role) for text, role in cells if text]
    left = width - sum(measure_text(text) for text, _ in kept)
    if left > 0:
        kept.append((" " * left, kept[-1][1] if kept else "text"))
    return kept


def _shorten(cells: Row, width: int) -> Row:
    whole = "".join(text for text, _ in cells)
    kept = _take_columns(whole, width)
    if not all(character in _DRAWN for character in whole[len(kept) :]):
        kept = cut(whole, width)
    shortened: Row = []
    taken = 0
    for text, role in cells:
        shortened.append((kept[taken : taken + len(text)], role))
        taken += len(text)
    return shortened


def join_ends(left: Row, right: Row, width: int) -> Row:
    """Put `left` and `right` at the two ends of a row; drop `right` if there is no gap between."""
    used, end = measure_row(left), measure_row(right)
    if used + MIN_ENDS_GAP + end > width:
        return crop(left, width)
    return [*left, (" " * (width - used - end), "text"), *right]


def join_blocks(left: list[Row], right: list[Row], width: int, gap: int = 0) -> list[Row]:
    """Put two blocks of rows side by side, the left one in `width` columns; as many rows as the
    longer of them has."""
    space: Row = [(" " * gap, "text")] if gap else []
    return [
        [*crop(a, width), *space, *b] for a, b in zip_longest(left, right, fillvalue=list[Span]())
    ]


def merge_cells(cells: Iterable[Span]) -> Row:
    """Join neighbours of one role; spaces have no colour and join the span before them."""
    row: Row = []
    for text, role in cells:
        if row and (row[-1][1] == role or text.isspace()):
            row[-1] = (row[-1][0] + text, row[-1][1])
        else:
            row.append((text, role))
    return row


def merge_spans(row: Row, width: int) -> Row:
    """Return the row in exactly `width` columns, with neighbours joined."""
    return merge_cells(crop(row, width))


def fit_block(rows: list[Row], width: int, height: int) -> list[Row]:
    """Cut and pad to exactly `height` rows of exactly `width` columns."""
    lines = [crop(row, width) for row in rows[: max(0, height)]]
    return lines + [crop([], width) for _ in range(max(0, height) - len(lines))]
