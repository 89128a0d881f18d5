"""The big number: digits of 4x6 pixels in half blocks, three rows high, or doubled."""

from __future__ import annotations

from txtop.ui.drawing.glyphs import Glyphs

ROWS = 3
WIDTH = 17
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
    "…": "····· ····· ▄·▄·▄",
}
_SHAPES = {
    character: tuple(shape.replace("█  █", "█··█").split()) for character, shape in _FONT.items()
}


def rows(text: str, g: Glyphs, doubled: bool = False) -> list[str]:
    """`text` (digits, `.`, `x`, `—`, `…`) in 3 rows, 6 when doubled; in ASCII one plain row."""
    height = 2 * ROWS if doubled else ROWS
    if g.mode == "ascii":
        return [g(text) if y == height // 2 else "" for y in range(height)]
    shapes = [_SHAPES[character] for character in text if character in _SHAPES]
    lines = [" ".join(shape[y] for shape in shapes).replace("·", " ") for y in range(ROWS)]
    return [line for y in range(ROWS) for line in _doubled(lines[y])] if doubled else lines


def _doubled(line: str) -> tuple[str, str]:
    """The two pixel rows of one text row, each pixel two columns wide."""
    upper = "".join("██" if c in "█▀" else "  " for c in line)
    lower = "".join("██" if c in "█▄" else "  " for c in line)
    return upper, lower
