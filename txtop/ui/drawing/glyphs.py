"""What the terminal can draw: braille, block elements, or ASCII alone.

Builders ask a `Glyphs` for every sign that is not a letter, so that a fallback which is wider or
narrower than the sign itself is known before columns are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GlyphMode = Literal["braille", "blocks", "ascii"]

ASCII_FALLBACKS = {
    "✓": "+", "▸": ">", "◂": "<", "✗": "x", "·": ".", "●": "*", "○": "o", "▲": "!", "■": "#",
    "◆": "$", "┴": "+",
    "≈": "~", "━": "=", "─": "-", "╌": "-", "│": "|", "┼": "+", "┿": "+", "├": "+", "┤": "+",
    "┣": "+", "┫": "+", "•": "o", "░": ":", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "‖": '"',
    "±": "+-", "…": "..", "→": "->", "←": "<-", "↑": "^", "↓": "v", "—": "-", "°": "", "⇧": "S-",
    "▾": "v", "▴": "^",
}  # fmt: skip
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_STEPS = " .:-=+*#"


@dataclass(frozen=True)
class Glyphs:
    """One way of drawing. Called with a text it returns what to draw instead."""

    mode: GlyphMode = "braille"

    def __call__(self, text: str) -> str:
        if self.mode != "ascii":
            return text
        return "".join(ASCII_FALLBACKS.get(character, character) for character in text)

    @property
    def steps(self) -> str:
        """The characters of a spark without braille, from empty to full."""
        return ASCII_STEPS if self.mode == "ascii" else BLOCKS


BRAILLE = Glyphs()
_current = BRAILLE


def set_glyphs(mode: GlyphMode) -> None:
    """Sets what this terminal draws, once, before the first screen."""
    global _current
    _current = Glyphs(mode)


def get_glyphs() -> Glyphs:
    """What this terminal draws."""
    return _current


def adapt_text(text: str) -> str:
    """`text` as this terminal draws it."""
    return _current(text)
