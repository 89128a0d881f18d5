"""Write the report of a session, or the trace of its explanation, from the screen.

It takes seconds and libraries that the screen does not load: commands of txtop do it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from textual.app import App

from txtop.session.catalog import get_session_id
from txtop.system.search_path import build_module_command
from txtop.ui.messages import Say

TIMEOUT_S = 120


def write_report(app: App[Any], session: Path) -> None:
    """Write NAME.html where txtop was started, or beside the session if that cannot be written,
    and say where. Blocks: call it in a thread of its own."""
    _write(app, session, ".html", "report", ["report", str(session)])


def write_trace(app: App[Any], session: Path) -> None:
    """Write NAME.trace.json as `write_report` writes its file."""
    command = ["export", str(session), "--format", "chrome-trace"]
    _write(app, session, ".trace.json", "trace", command)


def _write(app: App[Any], session: Path, ending: str, noun: str, command: list[str]) -> None:
    folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else session.parent
    target = folder / f"{get_session_id(session)}{ending}"
    try:
        done = subprocess.run(
            build_module_command("txtop", *command, "--output", str(target)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        app.post_message(Say(f"no {noun}: {error}", "error"))
        return
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        reason = last[-1].removeprefix("txtop: ") if last else f"exit code {done.returncode}"
        app.post_message(Say(f"no {noun}: {reason}", "error"))
    else:
        app.post_message(Say(f"{noun} written: {target}"))
