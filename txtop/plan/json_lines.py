"""Keys that come twice in a line of JSON, of which parsers silently keep the last."""

from __future__ import annotations

import json
from typing import Any


def find_repeated_key(text: str | bytes) -> str | None:
    """Return the first key that an object has twice; None for text that is not JSON."""
    repeated: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        repeated.extend(name for i, name in enumerate(names) if name in names[:i])

    try:
        json.loads(text, object_pairs_hook=check)
    except (ValueError, RecursionError):
        return None
    return repeated[0] if repeated else None
