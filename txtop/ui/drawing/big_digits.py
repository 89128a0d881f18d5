"""Big numbers: digits of 4x6 pixels in half blocks, three rows high, or doubled."""

from __future__ import annotations

from txtop.formatting import PENDING
from txtop.ui.drawing.glyphs import Glyphs

DIGIT_ROWS = 3
DIGITS_WIDTH = 17
# The columns that what stands beside a number needs.
MIN_BESIDE = 24
_FONT = {
    "0": "█▀▀█ █  █ █▄▄█",
    "1": "▀█· ·█· ▄█▄",
    "2": "▀▀▀█ █▀▀▀ █▄▄▄",
    "3": "▀▀▀█ ·▀▀█ ▄▄▄█",
    "4": "█··█ ▀▀▀█ ···█",
    "5": "█▀▀▀ ▀▀▀█ ▄▄▄█",
    "6": "█▀▀▀ █▀▀█ █▄▄█",
    "7": "▀▀▀█ ···█ ···█",
    "8": "█▀▀█ █▀▀█ █▄▄█",
    "9": "█▀▀█ ▀▀▀█ ▄▄▄█",
    ".": "· · ▄",
    "x": "··· ▀▄▀ ▄▀▄",
    "—": "···· ▀▀▀▀ ····",
}
_SHAPES = {
    character: tuple(shape.replace("█  █", "█··█").split()) for character, shape in _FONT.items()
}


def draw_digits(text: str, g: Glyphs, doubled: bool = False) -> list[str]:
    """Draw `text` (digits, `.`, `x`, `—`) in 3 rows, or 6 if doubled.

    In ASCII, and for a number that is still to come, one row holds the plain text: three dots of
    this size look like a fault.
    """
    height = 2 * DIGIT_ROWS if doubled else DIGIT_ROWS
    if text == PENDING:
        # Beside the unit, which stands in the first row.
        return [g(text) if y == int(doubled) else "" for y in range(height)]
    if g.mode == "ascii":
        return [g(text) if y == height // 2 else "" for y in range(height)]
    shapes = [_SHAPES[character] for character in text if character in _SHAPES]
    lines = [" ".join(shape[y] for shape in shapes).replace("·", " ") for y in range(DIGIT_ROWS)]
    return (
        [line for y in range(DIGIT_ROWS) for line in _double_line(lines[y])] if doubled else lines
    )


def draw_field(text: str, g: Glyphs, width: int, doubled: bool = False) -> tuple[list[str], int]:
    """Draw `text` and return its rows with the width of their field, a column on its left included.

    A number below 1 (`0.00133`) has a wider field; without room for it, it is plain text.
    """
    drawn = draw_digits(text, g, doubled)
    usual = (DIGITS_WIDTH + 1) * (2 if doubled else 1) + 1
    field = max(usual, max(map(len, drawn)) + 2)
    if field == usual or field + MIN_BESIDE <= width:
        return drawn, field
    return [text if y == int(doubled) else "" for y in range(len(drawn))], usual


def _double_line(line: str) -> tuple[str, str]:
    """Return the two pixel rows of one text row, each pixel two columns wide."""
    upper = "".join("██" if c in "█▀" else "  " for c in line)
    lower = "".join("██" if c in "█▄" else "  " for c in line)
    return upper, lower
