"""The line that text is typed or pasted into: Textual's Input, in which all text is made inert.

A panel or dialog mounts it, over its own lines, for as long as something is typed, and is called
back: messages would arrive after the keys that were typed ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

from txtop.sanitise import sanitise
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.line_widget import clean_strip

MAX_CHARACTERS = 200


class TextInput(Input):
    """One line of at most `MAX_CHARACTERS` characters.

    `on_change` is called with every new text, `on_done` with True at `enter` and False at `esc`.
    """

    DEFAULT_CSS = """
    TextInput {
        width: 1fr; background: $background; color: $foreground; text-style: bold;
        &.-panel { background: $panel; }
        &:focus { background-tint: transparent; }
        & > .input--cursor { color: $foreground; background: transparent; text-style: reverse; }
        & > .input--selection { color: $foreground; background: transparent; text-style: reverse; }
        & > .input--placeholder { color: $role-muted; text-style: not bold; }
        &:ansi > .input--cursor, &:ansi > .input--selection {
            color: ansi_default; background: ansi_default; text-style: reverse;
        }
    }
    """
    # The keys of an Input that edit or move, with their actions.
    _EDITS: ClassVar[dict[str, str]] = {
        key: binding.action
        for binding in Input.BINDINGS
        if isinstance(binding, Binding)
        for key in binding.key.split(",")
    }

    def __init__(
        self,
        text: str = "",
        hint: str = "",
        *,
        on_change: Callable[[str], None],
        on_done: Callable[[bool], None],
    ) -> None:
        super().__init__(text, glyphs.adapt_text(hint), select_on_focus=False, compact=True)
        self.cursor_blink = False
        self._on_change = on_change
        self._on_done = on_done
        self._open = True

    def close(self) -> None:
        """Remove the line; keys that were typed ahead go to what lies behind it."""
        self._open = False
        self.remove()

    def place(self, x: int, y: int, width: int, *, boxed: bool) -> None:
        """Put the line over a place in its parent, on the ground of a panel if that has a frame."""
        self.styles.position = "absolute"
        self.styles.offset = (x, y)
        self.styles.width = max(1, width)
        self.set_class(boxed, "-panel")

    async def take(self, event: events.Key) -> bool:
        """Edit by a key that came here, or to the screen before the line had the focus.

        Return False for a key that does not edit a line. Keys take effect in the order in which
        they were typed; as bindings, they would take effect after the letters behind them.
        """
        if not self._open:
            event.prevent_default()
            return False
        if event.key in ("enter", "escape"):
            self._on_done(event.key == "enter")
        elif event.key in self._EDITS:
            await self.run_action(self._EDITS[event.key])
        elif event.is_printable and event.character:
            self.replace(event.character, *self.selection)
        else:
            return False
        event.stop()
        event.prevent_default()
        return True

    async def on_key(self, event: events.Key) -> None:
        await self.take(event)

    def on_paste(self, event: events.Paste) -> None:
        """Insert all lines of pasted text as one."""
        event.stop()
        event.prevent_default()
        self.replace(" ".join(event.text.splitlines()), *self.selection)

    def replace(self, text: str, start: int, end: int) -> None:
        """Replace a part of the text; every edit comes through here."""
        before = self.value
        room = MAX_CHARACTERS - len(before) + abs(end - start)
        super().replace(sanitise(text[:room])[:room], start, end)
        self._scroll_to_cursor()
        if self.value != before:
            self._on_change(self.value)

    def action_cut(self) -> None:
        """Cut the selection; without one, Textual would empty the clipboard of the terminal."""
        if self.selected_text:
            super().action_cut()

    def on_mount(self) -> None:
        self.call_after_refresh(self._scroll_to_cursor)

    def _scroll_to_cursor(self) -> None:
        """Scroll to the cursor, which Textual does not do for the first text."""
        x = self.cursor_screen_offset.x - self.content_region.x + self.scroll_offset.x
        self.scroll_to_region(Region(x, 0, 1, 1), force=True, animate=False)

    def render_line(self, y: int) -> Strip:
        """Draw the line as panels draw theirs."""
        return clean_strip(super().render_line(y))
