"""What a person copies off the screen, as plain and inert text of a size that terminals take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.ui.models.clipboard import join_sanitised, read_summary
from txtop.ui.modes import to_txtop_error

if TYPE_CHECKING:
    from txtop.ui.app_base import BaseApp


def copy_lines(app: BaseApp, what: str, lines: Sequence[str]) -> None:
    """Hands the lines to the terminal (OSC 52), which may take them or not, and says so."""
    text, whole = join_sanitised(lines)
    app.copy_to_clipboard(text)
    app.say(f"copied {what}" + ("" if whole else ", as much of it as a terminal takes"))


def copy_summary(app: BaseApp, paths: Sequence[Path]) -> None:
    """Reads the sessions first, so from a thread of its own."""
    try:
        lines = read_summary(paths)
    except Exception as error:
        app.say(str(to_txtop_error(error)), "error")
    else:
        app.call_from_thread(copy_lines, app, f"the summary, {len(lines)} lines", lines)
