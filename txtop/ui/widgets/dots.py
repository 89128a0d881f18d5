"""A field to draw points in: braille dots, eight a cell, or one mark a cell without braille."""

from __future__ import annotations

from txtop.ui.glyphs import Glyphs
from txtop.ui.widgets.rows import Row

_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EMPTY = 0x2800


class Dots:
    """`width` columns, `height` rows; `across` and `down` count the places of dots in them, `per`
    those in one column.

    In one cell a sign wins over dots, and dots over the ground.
    """

    def __init__(self, width: int, height: int, g: Glyphs) -> None:
        self.width, self.height = max(0, width), max(0, height)
        self.fine = g.mode == "braille"
        self.per = 2 if self.fine else 1
        self.across = self.width * self.per
        self.down = self.height * (4 if self.fine else 1)
        self._g = g
        self._bits: dict[tuple[int, int], int] = {}
        self._roles: dict[tuple[int, int], str] = {}
        self._ground: dict[tuple[int, int], tuple[str, str]] = {}
        self._signs: dict[tuple[int, int], tuple[str, str]] = {}

    def cell(self, x: int, y: int) -> tuple[int, int]:
        """Column and row of the dot at `x`, `y`, counted from the upper left."""
        return (x // 2, y // 4) if self.fine else (x, y)

    def dot(self, x: int, y: int, role: str) -> None:
        """A dot; of several in a cell the last gives the colour. One outside is not drawn."""
        if not (0 <= x < self.across and 0 <= y < self.down):
            return
        at = self.cell(x, y)
        self._roles[at] = role
        if self.fine:
            self._bits[at] = self._bits.get(at, 0) | _BITS[x % 2][y % 4]

    def sign(self, column: int, row: int, text: str, role: str) -> None:
        """One character over whatever is there."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._signs[column, row] = (text, role)

    def ground(self, column: int, row: int, text: str, role: str) -> None:
        """One character under whatever is there."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._ground[column, row] = (text, role)

    def rows(self) -> list[Row]:
        """What was drawn, neighbours of one colour as one span."""
        return [self._row(y) for y in range(self.height)]

    def _row(self, y: int) -> Row:
        found: Row = []
        for x in range(self.width):
            text, role = self._at(x, y)
            if found and (found[-1][1] == role or text == " "):
                found[-1] = (found[-1][0] + text, found[-1][1])
            else:
                found.append((text, role))
        return found

    def _at(self, x: int, y: int) -> tuple[str, str]:
        if (x, y) in self._signs:
            text, role = self._signs[x, y]
            return self._g(text)[:1] or " ", role
        if (x, y) in self._roles:
            dots = chr(_EMPTY + self._bits[x, y]) if self.fine else self._g("•")
            return dots, self._roles[x, y]
        text, role = self._ground.get((x, y), (" ", "text"))
        return self._g(text)[:1] or " ", role
