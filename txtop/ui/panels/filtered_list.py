"""The panels that keys move through and a text filter narrows."""

from __future__ import annotations

from dataclasses import replace

from textual import events

from txtop.ui.drawing.area import Area
from txtop.ui.panels.base import KeysChanged, NavigablePanel
from txtop.ui.text_input import TextInput

# Columns of the line that is typed into, in the heading of its list.
INPUT_WIDTH = 24


def _starts_word(word: str, text: str) -> bool:
    at = text.find(word)
    while at > 0 and word[0].isalnum() and text[at - 1].isalnum():
        at = text.find(word, at + 1)
    return at >= 0


class TextFilter:
    """A filter of words that match in any order and either case.

    A word has to match the start of a word, so that `8` does not match `128`. `typing` is true
    while the filter is being typed.
    """

    def __init__(self) -> None:
        self.text = ""
        self.typing = False

    def clear(self) -> bool:
        """Clear the filter; return False if there was none."""
        had = self.typing or bool(self.text)
        self.text, self.typing = "", False
        return had

    def matches(self, text: str) -> bool:
        folded = text.casefold()
        return all(_starts_word(word, folded) for word in self.text.casefold().split())

    def title(self, name: str) -> str:
        """Return the title of the list with the filter, `cells  /bf16`; while typing, with room
        for the line in its place."""
        if self.typing:
            return f"{name}  /{' ' * INPUT_WIDTH}"
        return f"{name}  /{self.text}" if self.text else name


class FilteredListPanel(NavigablePanel):
    """A list with a text filter, `words`, whose line lies in the heading while it is typed."""

    name_shown = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.words = TextFilter()
        self.text_input: TextInput | None = None

    @property
    def title(self) -> str:
        return self.words.title(self.name_shown)

    def area(self, width: int, height: int) -> Area:
        """Return an area that counts as focused while the line in it has the focus, too."""
        return replace(super().area(width, height), focused=self.has_focus or self.words.typing)

    def take_focus(self) -> None:
        if not self.words.typing:
            super().take_focus()

    def begin(self) -> None:
        """Start to type a filter."""
        # `focus()` would take effect only after the keys that were typed ahead.
        self.screen.set_focus(self)
        self.words.typing = True
        if self.text_input is None:
            self.text_input = TextInput(
                self.words.text, on_change=self._filter, on_done=self._end_typing
            )
            self._place_input()
            self.mount(self.text_input)
        self.screen.set_focus(self.text_input, scroll_visible=False)
        self.apply_filter()

    def _place_input(self) -> None:
        if self.text_input is not None:
            x = (3 if self.boxed else 2) + len(self.name_shown) + 3
            width = min(INPUT_WIDTH, self.size.width - x - 2)
            self.text_input.place(x, 0, width, boxed=self.boxed)

    def on_resize(self, event: events.Resize) -> None:
        self._place_input()

    def _filter(self, text: str) -> None:
        self.words.text = text
        self.apply_filter()

    def _end_typing(self, keep: bool) -> None:
        if keep:
            self._close_input()
            self.apply_filter()
        else:
            self.clear()

    def _close_input(self) -> None:
        """Remove the line, and take the focus back if the line had it."""
        self.words.typing = False
        if self.text_input is not None:
            if self.screen.focused is self.text_input:
                self.screen.set_focus(self)
            self.text_input.close()
            self.text_input = None

    def on_descendant_blur(self) -> None:
        """Keep the words after a click elsewhere; another window leaves the line open."""
        gone = self.text_input is not None and self.screen.focused is not self.text_input
        if gone and self.app.app_focus:
            self._close_input()
            self.focus_lost()
            self.apply_filter()

    def focus_lost(self) -> None:
        """Forget what only a list with the focus has."""

    def clear(self) -> bool:
        """Show all rows again; return False if all were visible."""
        cleared = self.words.clear()
        self._close_input()
        if cleared:
            self.apply_filter()
        return cleared

    def apply_filter(self) -> None:
        """Draw after the filter changed."""
        self.tick()
        self.post_message(KeysChanged())
