"""Screen updates that hold the columns that changed, and nothing before them.

Textual's own update cuts a strip behind the last changed column alone, so that one digit at the end
of a row costs the whole row, colours and all. This module relies on private names of Textual
(`_compositor.ChopsUpdate`); a change there shows as more bytes, never as a wrong picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.control import Control
from textual._compositor import ChopsUpdate

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class PartialUpdate(ChopsUpdate):
    """Textual's update of some columns of some rows, cut on both sides."""

    def render_segments(self, console: Console) -> str:
        """Render the text with its escape sequences."""
        parts = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                start = max(x, first)
                parts.append(Control.move_to(start, y).segment.text)
                parts.append(strip.crop(start - x, min(end, last) - x).render(console))
        return "".join(parts)


def narrow_update(update: RenderableType | None) -> RenderableType | None:
    """Return the same update in fewer bytes, where that is possible."""
    if type(update) is ChopsUpdate:
        return PartialUpdate(update.chops, update.spans, update.chop_ends)
    return update
