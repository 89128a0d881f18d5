"""Copy to the terminal's clipboard: plain and inert text of a size that terminals take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from txtop.ui.messages import Say
from txtop.ui.models.clipboard import join_sanitised, read_summary
from txtop.ui.modes import to_txtop_error


def copy_lines(app: App[Any], label: str, lines: Sequence[str]) -> None:
    """Send the lines to the terminal (OSC 52), which may ignore them, and name them in a toast."""
    text, whole = join_sanitised(lines)
    app.copy_to_clipboard(text)
    suffix = "" if whole else ", as much of it as a terminal takes"
    app.post_message(Say(f"copied {label}{suffix}"))


def copy_summary(app: App[Any], paths: Sequence[Path]) -> None:
    """Read the sessions and copy their summary. Blocks: call it in a thread of its own."""
    try:
        lines = read_summary(paths)
    except Exception as error:
        app.post_message(Say(str(to_txtop_error(error)), "error"))
    else:
        app.call_from_thread(copy_lines, app, f"the summary, {len(lines)} lines", lines)
