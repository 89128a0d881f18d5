"""The parts of the home screen that are there before its first frame, and before Textual."""

from __future__ import annotations

from txtop import __version__
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import adapt_text
from txtop.ui.drawing.spans import Row, join_ends

MACHINE, SESSIONS, START = "this machine", "sessions", "start"


def render_heading(machine: str, width: int) -> Row:
    """Render the name, the machine and the version."""
    left: Row = [(" txtop", "accent-a.bold"), (f"  {machine}", "muted")]
    return join_ends(left, [(f"{__version__} ", "muted")], width)


def render_empty_machine(area: Area) -> list[Row]:
    """Render the frame of the machine that nothing was read of yet."""
    return draw_frame(MACHINE, [], [], area)


def render_scanning() -> list[Row]:
    """Render what stands in place of the sessions until they were looked for."""
    return [[], [("scanning sessions" + adapt_text("…"), "muted")]]
