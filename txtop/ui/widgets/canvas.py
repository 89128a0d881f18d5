"""Signs and braille dots on a grid of cells, of which what came first stays."""

from __future__ import annotations

from txtop.ui.glyphs import Glyphs
from txtop.ui.widgets.rows import Row, cells

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EMPTY = 0x2800


class Canvas:
    """`width` columns of `height` rows. Signs cover dots, dots cover the ground, whatever the
    order; of two signs in one place, and of two colours of dots in one cell, the first stays."""

    def __init__(self, width: int, height: int, g: Glyphs) -> None:
        self._g = g
        self._width, self._height = width, height
        self._signs: dict[tuple[int, int], tuple[str, str]] = {}
        self._dots: dict[tuple[int, int], tuple[int, str]] = {}
        self._ground: dict[tuple[int, int], tuple[str, str]] = {}

    def free(self, x: int, y: int, width: int) -> bool:
        """Whether so many columns lie on the canvas and hold no sign."""
        inside = x >= 0 and x + width <= self._width and 0 <= y < self._height
        return inside and not any(self.signed(at, y) for at in range(x, x + width))

    def signed(self, x: int, y: int) -> bool:
        """Whether a sign stands there."""
        return (x, y) in self._signs

    def put(self, x: int, y: int, text: str, role: str) -> None:
        """Writes signs from there to the right, where none is yet; wide characters are left out."""
        for at, character in enumerate(text, start=x):
            if 0 <= at < self._width and 0 <= y < self._height and cells(character) == 1:
                self._signs.setdefault((at, y), (character, role))

    def dot(self, x: int, y: int, role: str) -> None:
        """One of the eight dots of a cell, counted from the upper left of the canvas."""
        at, bit = (x // 2, y // 4), _DOTS[x % 2][y % 4]
        bits, first = self._dots.get(at, (0, role))
        self._dots[at] = bits | bit, first

    def ground(self, x: int, y: int, character: str, role: str) -> None:
        """What is seen in a cell that has neither sign nor dot."""
        self._ground.setdefault((x, y), (character, role))

    def rows(self) -> list[Row]:
        """The cells of each row, neighbours of one role together."""
        found: list[Row] = []
        for y in range(self._height):
            row: Row = []
            for x in range(self._width):
                character, role = self._at(x, y)
                if row and (row[-1][1] == role or character == " "):
                    row[-1] = (row[-1][0] + character, row[-1][1])
                else:
                    row.append((character, role))
            found.append(row)
        return found

    def _at(self, x: int, y: int) -> tuple[str, str]:
        if (x, y) in self._signs:
            return self._signs[x, y]
        if (x, y) in self._dots:
            bits, role = self._dots[x, y]
            return (chr(_EMPTY + bits) if self._g.mode == "braille" else self._g("·")), role
        return self._ground.get((x, y), (" ", "text"))
