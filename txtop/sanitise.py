"""Make foreign text inert before it is stored or drawn: no escape, no hidden mark, one line.

Model names, repository code, processes and recordings can all contain such text.
"""

from __future__ import annotations

import re
import unicodedata

# Soft hyphen, Arabic letter mark, Mongolian vowel separator, byte order mark, object replacement.
_MARKS = (0x00AD, 0x061C, 0x180E, 0xFEFF, 0xFFFC)
_HIDDEN = frozenset(
    [*_MARKS, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]
)
_IN_JSON = re.compile(f"[\x7f-\x9f{re.escape(''.join(map(chr, sorted(_HIDDEN))))}]")
# Of tqdm, with what stands before it: `Loading:  50%|█████     | 28/57 [00:01<00:01, 19.2it/s]`.
_PROGRESS_BAR = re.compile(r".*\[\d+(?::\d\d)+[<,][^\]]*(?:/s|s/)[^\]]*\] *")


def find_last_text(line: str) -> str:
    """Return what a terminal would show last of `line`, without progress bars."""
    return _PROGRESS_BAR.sub("", line.rstrip("\r").rpartition("\r")[2])


def _inert(character: str) -> str:
    code = ord(character)
    if code < 0x20 or 0x7F <= code <= 0x9F or code in _HIDDEN or 0xD800 <= code <= 0xDFFF:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    if unicodedata.category(character) in ("Cf", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def escape_json(body: bytes) -> bytes:
    """Return the same JSON with control and hidden characters in its strings as `\\u` escapes."""
    if body.isascii() and b"\x7f" not in body:
        return body
    return _IN_JSON.sub(_escaped, body.decode()).encode()


def sanitise(text: str, limit: int = 2000) -> str:
    """Return `text` as one inert line of at most `limit` characters.

    C0 and C1 controls, surrogates, bidi and zero-width marks and unassigned code points become
    visible escapes (`\\x1b`); newlines and tabs become spaces.
    """
    if text.isascii() and text.isprintable():
        return text if len(text) <= limit else text[: limit - 1] + "…"
    # Only "\r\n" gets shorter, and by half, so twice the limit is enough.
    flat = text[: limit * 2].replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    clean = "".join(map(_inert, flat))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
