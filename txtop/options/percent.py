"""A share as a command line spells it: `3%`, `3 %` or `0.03`."""

from __future__ import annotations

import re

from txtop.errors import UsageError

_SHARE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*(%?)")


def share(option: str, word: str) -> float:
    """The share that `word` spells, at least 0 and under 1. Raises `UsageError`."""
    match = _SHARE.fullmatch(word.strip())
    found = float(match[1]) / (100 if match[2] else 1) if match else 1.0
    if found >= 1:
        raise UsageError(f"{option}: {word[:40]!a} is no share under 100 %", "write 3% or 0.03")
    return found
