"""Find the data that ships with txtop: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def find_directory(kind: Literal["themes", "sessions"], package: Path = _PACKAGE) -> Path:
    """Return the folder of bundled `kind`: in the wheel, else beside `package` in a checkout."""
    inside = package / "data" / kind
    return inside if inside.is_dir() else package.parent / kind
