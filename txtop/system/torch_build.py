"""The devices that the installed torch was built for, read without importing it."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LINE = re.compile(r"^(cuda|hip|xpu)\b[^=]*=\s*(.+?)\s*$", re.MULTILINE)


def has_cuda() -> bool:
    """Return if the installed torch has code for NVIDIA or AMD GPUs; True if that is not known."""
    built = read_build()
    versions = [built[kind] for kind in ("cuda", "hip") if kind in built]
    return not versions or any(version != "None" for version in versions)


def has_xpu() -> bool:
    """Return if the installed torch has code for Intel GPUs; True if that is not known."""
    return read_build().get("xpu") != "None"


@cache
def read_build() -> dict[str, str]:
    """Return the version of each kind of device in torch's own file, `None` for one it lacks."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(_LINE.findall(text))
