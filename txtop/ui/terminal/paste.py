"""Bracketed paste: the terminal's marks around pasted text, and escapes between them."""

from __future__ import annotations

# Private to Textual, which has no public name for the marks that its parser looks for.
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START


class PasteFilter:
    """A filter of terminal input that makes every escape inside a bracketed paste plain text.

    Textual's parser reads on inside a paste: behind an escape, pasted text would be keys.
    """

    def __init__(self) -> None:
        self._inside = False
        # The beginning of a mark, for as long as it may become one.
        self._held = ""

    def feed(self, text: str) -> str:
        """Return the input that can be parsed now; a paste and its marks may come in pieces."""
        passed = []
        for character in text:
            mark = BRACKETED_PASTE_END if self._inside else BRACKETED_PASTE_START
            if not mark.startswith(self._held + character):
                if self._inside:
                    passed.append(self._held.replace("\x1b", "\\x1b"))
                self._held = ""
            if mark.startswith(self._held + character):
                self._held += character
                if not self._inside:
                    passed.append(character)
                if self._held == mark:
                    passed.append(mark if self._inside else "")
                    self._inside, self._held = not self._inside, ""
            else:
                passed.append(character)
        return "".join(passed)
