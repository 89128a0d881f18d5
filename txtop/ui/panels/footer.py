"""The footer: the keys of the current screen, each clickable."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.drawing.spans import Row, clean, crop, measure_text
from txtop.ui.keymap import PANEL_WORDS, PANELS, resolve_key
from txtop.ui.models.layout import BOXED_FROM
from txtop.ui.panels.base import KeyHints, Panel


class FooterRow(LineWidget):
    """A row of keys that can be clicked. Has to be the second base class: Textual finds a widget's
    style by the first."""

    def keys_now(self) -> KeyHints:
        """Return keys and their meanings, most important first."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        return render_footer(self.keys_now(), width, glyphs.get_glyphs())

    def on_click(self, event: events.Click) -> None:
        sign = find_footer_key(self.keys_now(), self.size.width, glyphs.get_glyphs(), event.x)
        if key := resolve_key(sign):
            self.app.simulate_key(key)


def render_footer(keys: KeyHints, width: int, g: Glyphs) -> list[Row]:
    """Render the keys that fit."""
    row: Row = [(" ", "text")]
    for key, word in _select_fitting_keys(keys, width, g):
        row += [(g(key), "accent-a.bold"), (f" {g(word)}   ", "muted")]
    return [crop(row, width)]


def find_footer_key(keys: KeyHints, width: int, g: Glyphs, x: int) -> str:
    """Return the key at column `x` of the footer; on a label, the first of its keys; empty between
    them."""
    at = 1
    for key, word in _select_fitting_keys(keys, width, g):
        first = key.split(" ")[0]
        for sign in key.split(" "):
            wide = measure_text(clean(g(sign)))
            if at <= x < at + wide:
                return sign
            at += wide + 1
        wide = measure_text(clean(g(word)))
        if at <= x < at + wide:
            return first
        at += wide + 3
    return ""


def _select_fitting_keys(keys: KeyHints, width: int, g: Glyphs) -> KeyHints:
    """Drop keys that have no room, from the end; the panels get a word each if all have room.

    Help and quit stay longest, and from the width on at which panels stand side by side their keys
    do, too. A column at the end stays free: a word that touches the edge looks cut.
    """
    room = width - 1
    spread = [hint for key in keys for hint in _spread_panels(key)]
    if _measure_footer(spread, g) <= room:
        return spread
    fitting = list(keys)
    stays = 3 if width >= BOXED_FROM[0] and len(keys) > 2 and keys[-3][0][0] == "1" else 2
    while len(fitting) > stays and _measure_footer(fitting, g) > room:
        del fitting[-stays - 1]
    if len(fitting) == 2 and _measure_footer(fitting, g) > room:
        fitting = fitting[1:]
    return fitting


def _spread_panels(hint: tuple[str, str]) -> KeyHints:
    keys, word = hint
    return [(key, PANEL_WORDS[key]) for key in keys.split(" ")] if word == PANELS else [hint]


def _measure_footer(keys: KeyHints, g: Glyphs) -> int:
    return 1 + sum(measure_text(clean(f"{g(key)} {g(word)}")) + 3 for key, word in keys) - 3


class FooterPanel(Panel, FooterRow):
    """The footer of a session's screen."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def keys_now(self) -> KeyHints:
        return self.keys
