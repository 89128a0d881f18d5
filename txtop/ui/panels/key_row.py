"""The last row of a screen: what is possible now."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.line_widget import Lines, Row
from txtop.ui.keymap import pressed
from txtop.ui.panels import bars


class KeyRow(Lines):
    """A click on a key is that key. To be a second base: Textual finds a widget by its first."""

    def keys_now(self) -> bars.Keys:
        """Keys and what they do, most needed first."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        return bars.footer(self.keys_now(), width, glyphs.current())

    def on_click(self, event: events.Click) -> None:
        sign = bars.key_at(self.keys_now(), self.size.width, glyphs.current(), event.x)
        if key := pressed(sign):
            self.app.simulate_key(key)
