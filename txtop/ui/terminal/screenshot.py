"""Save a screenshot as an SVG file."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

# The SVG of Textual loads its font from a web server; a screenshot must not fetch anything.
_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)


def save_screenshot(svg: str) -> Path | None:
    """Write the screenshot into the current folder, or else beside the sessions.

    Returns its path, or `None` if neither can be written.
    """
    from platformdirs import user_state_path

    body = _FONT_FACE.sub("", svg)
    stem = f"txtop-{datetime.now():%Y%m%d-%H%M%S}"
    for folder in (Path.cwd(), user_state_path("txtop")):
        for name in (f"{stem}.svg", f"{stem}-{os.getpid()}.svg"):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with (folder / name).open("x", encoding="utf-8") as file:
                    file.write(body)
            except OSError:
                continue
            return folder / name
    return None
