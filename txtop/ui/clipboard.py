"""What a person copies off the screen, as plain and inert text of a size that terminals take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.ui.models.clipboard import inert, summary
from txtop.ui.modes import problem

if TYPE_CHECKING:
    from txtop.ui.app_base import ShowApp


def copy(app: ShowApp, what: str, lines: Sequence[str]) -> None:
    """Hands the lines to the terminal (OSC 52), which may take them or not, and says so."""
    text, whole = inert(lines)
    app.copy_to_clipboard(text)
    app.say(f"copied {what}" + ("" if whole else ", as much of it as a terminal takes"))


def copy_summary(app: ShowApp, paths: Sequence[Path]) -> None:
    """Reads the sessions first, so from a thread of its own."""
    try:
        lines = summary(paths)
    except Exception as error:
        app.say(str(problem(error)), "error")
    else:
        app.call_from_thread(copy, app, f"the summary, {len(lines)} lines", lines)
