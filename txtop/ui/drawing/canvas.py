"""A canvas of signs and braille dots, eight dots a cell; without braille one mark a cell."""

from __future__ import annotations

from txtop.ui.drawing.charts import BRAILLE_BLANK, DOT_BITS
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, measure_text, merge_cells


class Canvas:
    """A drawing surface of `width` columns and `height` rows.

    `across` and `down` count the positions of dots, `per` those in one column; `mark` stands for a
    dot if there is no braille. Signs cover dots and dots cover the ground, in whatever order they
    are drawn; of two signs in one place, two colours of dots in one cell, or two grounds, the first
    stays. Whatever lies outside is not drawn.
    """

    def __init__(self, width: int, height: int, g: Glyphs, mark: str = "·") -> None:
        self.width, self.height = max(0, width), max(0, height)
        self.fine = g.mode == "braille"
        self.per = 2 if self.fine else 1
        self.across = self.width * self.per
        self.down = self.height * (4 if self.fine else 1)
        self._mark = g(mark)
        self._signs: dict[tuple[int, int], tuple[str, str]] = {}
        self._dots: dict[tuple[int, int], tuple[int, str]] = {}
        self._ground: dict[tuple[int, int], tuple[str, str]] = {}

    def free(self, x: int, y: int, width: int) -> bool:
        """Return whether `width` columns from there lie on the canvas and hold no sign."""
        inside = x >= 0 and x + width <= self.width and 0 <= y < self.height
        return inside and not any(self.has_sign(at, y) for at in range(x, x + width))

    def has_sign(self, x: int, y: int) -> bool:
        """Return whether the cell holds a sign."""
        return (x, y) in self._signs

    def has_dot(self, x: int, y: int) -> bool:
        """Return whether the cell holds a dot, or part of a line."""
        return (x, y) in self._dots

    def blank(self, x: int, y: int, width: int) -> bool:
        """Return whether `width` columns from there lie on the canvas and hold neither sign nor
        dot."""
        return self.free(x, y, width) and not any(self.has_dot(at, y) for at in range(x, x + width))

    def put(self, x: int, y: int, text: str, role: str) -> None:
        """Write signs from there to the right into the free cells; skip wide characters."""
        for at, character in enumerate(text, start=x):
            if 0 <= at < self.width and 0 <= y < self.height and measure_text(character) == 1:
                self._signs.setdefault((at, y), (character, role))

    def cell(self, x: int, y: int) -> tuple[int, int]:
        """Return the cell that holds a dot, counted from the upper left."""
        return (x // 2, y // 4) if self.fine else (x, y)

    def dot(self, x: int, y: int, role: str) -> None:
        """Draw one dot."""
        if 0 <= x < self.across and 0 <= y < self.down:
            at = self.cell(x, y)
            bits, first = self._dots.get(at, (0, role))
            self._dots[at] = bits | DOT_BITS[x % 2][y % 4], first

    def ground(self, x: int, y: int, character: str, role: str) -> None:
        """Set the character of a cell that has neither sign nor dot."""
        self._ground.setdefault((x, y), (character, role))

    def rows(self) -> list[Row]:
        """Return the rows, with neighbouring cells of one role joined."""
        return [merge_cells(self._at(x, y) for x in range(self.width)) for y in range(self.height)]

    def _at(self, x: int, y: int) -> tuple[str, str]:
        if (x, y) in self._signs:
            return self._signs[x, y]
        if (x, y) in self._dots:
            bits, role = self._dots[x, y]
            return (chr(BRAILLE_BLANK + bits) if self.fine else self._mark), role
        return self._ground.get((x, y), (" ", "text"))
