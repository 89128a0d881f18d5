"""The area that a panel is drawn into; every renderer of a panel takes one."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.ui.drawing.glyphs import Glyphs


@dataclass(frozen=True)
class Area:
    """A size in columns and rows, and the style of what is drawn there.

    `boxed` means a frame around the panel, in place of a heading rule above it; `focused` means
    that the panel has the keyboard focus, which colours the frame.
    """

    width: int
    height: int
    glyphs: Glyphs
    boxed: bool = False
    focused: bool = False

    @property
    def inside(self) -> Area:
        """The area that the frame leaves to the body."""
        across, down = (4, 2) if self.boxed else (2, 1)
        return Area(max(0, self.width - across), max(0, self.height - down), self.glyphs)
