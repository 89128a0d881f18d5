"""The last row of a screen: what is possible now."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.line_widget import LineWidget, Row
from txtop.ui.keymap import resolve_key
from txtop.ui.panels import bars


class FooterRow(LineWidget):
    """A click on a key is that key. To be a second base: Textual finds a widget by its first."""

    def keys_now(self) -> bars.KeyHints:
        """Keys and what they do, most needed first."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        return bars.render_footer(self.keys_now(), width, glyphs.get_glyphs())

    def on_click(self, event: events.Click) -> None:
        sign = bars.find_footer_key(self.keys_now(), self.size.width, glyphs.get_glyphs(), event.x)
        if key := resolve_key(sign):
            self.app.simulate_key(key)
