"""Makes foreign text inert before it is stored or drawn: no escape, no hidden mark, one line."""

from __future__ import annotations

import unicodedata

_MARKS = (0x00AD, 0x061C, 0x180E, 0xFEFF, 0xFFFC)
_HIDDEN = frozenset(
    [*_MARKS, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]
)


def _inert(character: str) -> str:
    code = ord(character)
    if code < 0x20 or 0x7F <= code <= 0x9F or code in _HIDDEN or 0xD800 <= code <= 0xDFFF:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    if unicodedata.category(character) in ("Cf", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def sanitise(text: str, limit: int = 2000) -> str:
    """Returns `text` as one inert line of at most `limit` characters.

    C0 and C1 controls, surrogates, bidi and zero-width marks and unassigned code points become
    visible escapes (`\\x1b`); newlines and tabs become spaces.
    """
    if text.isascii() and text.isprintable():
        return text if len(text) <= limit else text[: limit - 1] + "…"
    flat = text[: limit * 2].replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    clean = "".join(map(_inert, flat))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
