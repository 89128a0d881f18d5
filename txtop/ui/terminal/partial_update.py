"""What is sent to the terminal: the columns that changed, and nothing before them.

Textual's own update cuts a strip behind the last changed column alone, so that one digit at the end
of a row costs the whole row, colours and all.
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
        """The text with its escape sequences."""
        found = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                start = max(x, first)
                found.append(Control.move_to(start, y).segment.text)
                found.append(strip.crop(start - x, min(end, last) - x).render(console))
        return "".join(found)


def narrow_update(update: RenderableType | None) -> RenderableType | None:
    """The same update, sent in fewer bytes where it can be."""
    if type(update) is ChopsUpdate:
        return PartialUpdate(update.chops, update.spans, update.chop_ends)
    return update
