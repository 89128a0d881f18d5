"""The first picture of the home screen, drawn before Textual is loaded.

Textual then draws the same text at the same places. Nothing here may import it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from txtop import settings
from txtop.settings import AskedLook
from txtop.system.terminal_size import read_terminal_size
from txtop.ui.drawing import themes
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import get_glyphs, set_glyphs
from txtop.ui.drawing.spans import Row, adapt_clean, fit_block, merge_cells
from txtop.ui.keymap import build_footer_keys
from txtop.ui.models.layout import arrange_home
from txtop.ui.panels import home_parts, start_menu
from txtop.ui.panels.footer_keys import render_footer
from txtop.ui.terminal.alternate_screen import hold_screen
from txtop.ui.terminal.capabilities import Capabilities, ColourDepth, choose_look

FRAMED = ("machine", "sessions", "start")
PARTS: dict[str, Callable[[Area], list[Row]]] = {
    "heading": lambda area: [home_parts.render_heading("", area.width)],
    "machine": home_parts.render_empty_machine,
    "sessions": lambda area: draw_frame(
        home_parts.SESSIONS, [], home_parts.render_scanning(), area
    ),
    "start": lambda area: draw_frame(
        home_parts.START, [], start_menu.render_start_menu(None, area.inside), area
    ),
    "findings": lambda area: [start_menu.render_findings(None, area.width, area.glyphs)],
    "footer": lambda area: render_footer(build_footer_keys("home"), area.width, area.glyphs),
}


def hold_first_picture(asked: AskedLook, can: Capabilities) -> AbstractContextManager[None]:
    """Show the picture in this terminal until Textual has it; restore the terminal if it never
    does."""
    look = choose_look(asked, settings.load_settings(), can)
    set_glyphs(look.glyphs)
    in_use = themes.choose_theme(look.theme, no_color="NO_COLOR" in os.environ)
    return hold_screen(build_first_picture(*read_terminal_size(), in_use, can.depth))


def build_first_picture(width: int, height: int, theme: str, depth: ColourDepth) -> str:
    """Build the picture, each line with the sequence that moves to its place."""
    layout = arrange_home(width, height)
    lines = [""] * height
    for name, place in layout.places.items():
        area = Area(place.width, place.height, get_glyphs(), layout.boxed)
        ground = "panel" if layout.boxed and name in FRAMED else "bg"
        rows = fit_block(PARTS[name](area), place.width, place.height)
        for y, row in enumerate(rows[: max(0, height - place.y)], place.y):
            for text, role in merge_cells(row):
                lines[y] += themes.paint_text(adapt_clean(text), theme, role, ground, depth)
    # Back to the corner: what is typed until Textual reads it must not scroll the picture.
    return "".join(f"\x1b[{y};1H{line}" for y, line in enumerate(lines, 1)) + "\x1b[H"
