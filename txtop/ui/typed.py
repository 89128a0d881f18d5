"""One line of text that is being typed; the little that a dialog or a filter needs."""

from __future__ import annotations

from textual import events

from txtop.sanitise import sanitise
from txtop.ui.drawing.spans import Row

MAX_CHARACTERS = 200


class LineInput:
    """Inert whatever comes in."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def take(self, event: events.Key) -> bool:
        """True when the key changed the text."""
        before = self.text
        if event.key == "backspace":
            self.text = self.text[:-1]
        elif event.key in ("ctrl+u", "ctrl+w"):
            self.text = ""
        elif event.character and event.is_printable:
            self.text = sanitise(self.text + event.character, MAX_CHARACTERS)
        return self.text != before

    def row(self, prompt: str, hint: str) -> Row:
        """As it is shown; the hint stands there until something was typed."""
        shown: Row = [(prompt, "accent-a"), (self.text, "bold"), ("_", "accent-a")]
        return shown if self.text else [*shown, (hint, "muted")]
