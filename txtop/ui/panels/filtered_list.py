"""The panels that are moved through: narrowed by words, cells in an order, the log by severity."""

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
    """Words that what is listed has to hold, in any order and in letters of either case. Each has
    to begin a word there, so that `8` is not found in `128`.

    While `typing`, `enter` keeps them and `esc` takes them away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.typing = False

    def handle_key(self, event: events.Key) -> bool:
        """Whether the key was meant for the words; only while typing."""
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
        """Takes the words away; False where there were none."""
        had = self.typing or bool(self.text)
        self.text, self.typing = "", False
        return had

    def matches(self, text: str) -> bool:
        folded = text.casefold()
        return all(_starts_word(word, folded) for word in self.text.casefold().split())

    def title(self, name: str) -> str:
        """`cells /bf16`, with a place for the next letter while typing."""
        if not self.typing:
            return f"{name}  /{self.text}" if self.text else name
        return f"{name}  /{self.text}_"


class FilteredListPanel(NavigablePanel):
    """A list that words narrow."""

    name_shown = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.words = TextFilter()

    @property
    def title(self) -> str:
        return self.words.title(self.name_shown)

    def begin(self) -> None:
        """From now on letters are words to look for."""
        self.words.typing = True
        self.focus()
        self.apply_filter()

    def clear(self) -> bool:
        """Shows all again; False where all was shown."""
        cleared = self.words.clear()
        if cleared:
            self.apply_filter()
        return cleared

    def apply_filter(self) -> None:
        """Other words, or none: draws what they leave."""
        self.tick()
        self.post_message(KeysChanged())

    def on_key(self, event: events.Key) -> None:
        if self.words.handle_key(event):
            event.stop()
            event.prevent_default()
            self.apply_filter()
