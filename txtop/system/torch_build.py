"""The devices that the installed torch was built for, read without importing it."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LINE = re.compile(r"^(cuda|hip)\b[^=]*=\s*(.+?)\s*$", re.MULTILINE)


@cache
def has_cuda() -> bool:
    """Return if the installed torch has code for NVIDIA or AMD GPUs; True if that is not known."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return True
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return True
    built = dict(_LINE.findall(text))
    return not built or any(value != "None" for value in built.values())
