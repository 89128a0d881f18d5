"""The panels that keys move through and a text filter narrows."""

from __future__ import annotations

from textual import events

from txtop.ui.panels.base import KeysChanged, NavigablePanel
from txtop.ui.typed import LineInput


def _starts_word(word: str, text: str) -> bool:
    at = text.find(word)
    while at > 0 and word[0].isalnum() and text[at - 1].isalnum():
        at = text.find(word, at + 1)
    return at >= 0


class TextFilter(LineInput):
    """A filter of words that match in any order and either case.

    A word has to match the start of a word, so that `8` does not match `128`. While `typing`,
    `enter` keeps the filter and `esc` clears it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.typing = False

    def handle_key(self, event: events.Key) -> bool:
        """Take a key while typing; return whether the filter used it."""
        if not self.typing:
            return False
        if event.key == "escape":
            self.clear()
        elif event.key == "enter":
            self.typing = False
        else:
            return self.take(event) or event.key == "backspace" or event.is_printable
        return True

    def clear(self) -> bool:
        """Clear the filter; return False if there was none."""
        had = self.typing or bool(self.text)
        self.text, self.typing = "", False
        return had

    def matches(self, text: str) -> bool:
        folded = text.casefold()
        return all(_starts_word(word, folded) for word in self.text.casefold().split())

    def title(self, name: str) -> str:
        """Return the title of the list with the filter: `cells  /bf16`, with a cursor while
        typing."""
        if not self.typing:
            return f"{name}  /{self.text}" if self.text else name
        return f"{name}  /{self.text}_"


class FilteredListPanel(NavigablePanel):
    """A list with a text filter, `words`."""

    name_shown = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.words = TextFilter()

    @property
    def title(self) -> str:
        return self.words.title(self.name_shown)

    def begin(self) -> None:
        """Start to type a filter."""
        self.words.typing = True
        self.focus()
        self.apply_filter()

    def clear(self) -> bool:
        """Show all rows again; return False if all were visible."""
        cleared = self.words.clear()
        if cleared:
            self.apply_filter()
        return cleared

    def apply_filter(self) -> None:
        """Draw after the filter changed."""
        self.tick()
        self.post_message(KeysChanged())

    def on_key(self, event: events.Key) -> None:
        if self.words.handle_key(event):
            event.stop()
            event.prevent_default()
            self.apply_filter()
