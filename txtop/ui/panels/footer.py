"""The footer: the keys of the current screen, each clickable."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.drawing.spans import Row
from txtop.ui.keymap import KeyHints, resolve_key
from txtop.ui.panels.base import Panel
from txtop.ui.panels.footer_keys import find_footer_key, render_footer


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


class FooterPanel(Panel, FooterRow):
    """The footer of a session's screen."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def keys_now(self) -> KeyHints:
        return self.keys
