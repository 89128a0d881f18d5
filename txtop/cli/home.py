"""`txtop` alone: the home screen, or its figures in plain lines.

Apart from the other commands because it imports no argument parser.
"""

from __future__ import annotations

import gc
from pathlib import Path

from txtop.settings import AS_SET, AskedLook


def open_home(session_dir: Path | None = None, look: AskedLook = AS_SET) -> int:
    """Open the home screen, or print it where there is no screen. Return the exit code."""
    from txtop.ui.terminal.capabilities import detect_capabilities

    can = detect_capabilities()
    if not can.screen:
        from txtop.cli.headless import format_home

        print(format_home(session_dir), end="")
        return 0
    # What is imported stays: there is nothing to collect until the screen enables it again, once
    # its first picture is drawn.
    gc.disable()
    from txtop.ui.screens.first_picture import hold_first_picture

    with hold_first_picture(look, can):
        from txtop.ui.launch import run_home

        path = run_home(look, session_dir=session_dir)
    if path is None:
        return 0
    from txtop.cli.headless import report_closed_run

    return report_closed_run(path, None)
