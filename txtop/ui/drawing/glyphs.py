"""The glyph set of the terminal: braille, block elements, or ASCII alone.

Renderers pass every sign that is not a letter through a `Glyphs`, so that a fallback which is wider
or narrower than the sign is in place before columns are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GlyphMode = Literal["braille", "blocks", "ascii"]

ASCII_FALLBACKS = {
    "✓": "+", "▸": ">", "◂": "<", "✗": "x", "·": ".", "●": "*", "○": "o", "▲": "!", "■": "#",
    "◆": "$", "┴": "+", "╍": "-",
    "≈": "~", "━": "=", "─": "-", "╌": "-", "│": "|", "┼": "+", "┿": "+", "├": "+", "┤": "+",
    "┣": "+", "┫": "+", "•": "o", "░": ":", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "‖": '"',
    "±": "+-", "…": "..", "→": "->", "←": "<-", "↑": "^", "↓": "v", "—": "-", "°": "", "⇧": "S-",
    "▾": "v", "▴": "^", "≤": "<=", "≥": ">=", "–": "-", "−": "-", "╎": "|",
}  # fmt: skip
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_STEPS = " .:-=+*#"


@dataclass(frozen=True)
class Glyphs:
    """One glyph set; a call returns the text with every sign replaced by its fallback."""

    mode: GlyphMode = "braille"

    def __call__(self, text: str) -> str:
        if self.mode != "ascii":
            return text
        return "".join(ASCII_FALLBACKS.get(character, character) for character in text)

    @property
    def steps(self) -> str:
        """The characters of a sparkline without braille, from empty to full."""
        return ASCII_STEPS if self.mode == "ascii" else BLOCKS


BRAILLE = Glyphs()
_current = BRAILLE


def set_glyphs(mode: GlyphMode) -> None:
    """Set the glyph set of this terminal, once, before the first screen."""
    global _current
    _current = Glyphs(mode)


def get_glyphs() -> Glyphs:
    """Return the glyph set of this terminal."""
    return _current


def adapt_text(text: str) -> str:
    """Return `text` in the glyph set of this terminal."""
    return _current(text)
