"""Write the report of a session from the screen.

The drawing takes seconds and libraries that the screen does not load: `txtop report` does it.
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
    folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else session.parent
    target = folder / f"{get_session_id(session)}.html"
    try:
        done = subprocess.run(
            build_module_command("txtop", "report", str(session), "--output", str(target)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        app.post_message(Say(f"no report: {error}", "error"))
        return
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        reason = last[-1].removeprefix("txtop: ") if last else f"exit code {done.returncode}"
        app.post_message(Say(f"no report: {reason}", "error"))
    else:
        app.post_message(Say(f"report written: {target}"))
