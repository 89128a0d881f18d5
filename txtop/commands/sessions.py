"""`txtop sessions`: what was recorded here."""

from __future__ import annotations

from txtop.commands.options import SessionDir


def sessions(*, session_dir: SessionDir = None) -> int:
    """List the recorded sessions, newest first, and the bundled ones."""
    from txtop.headless import session_lines

    print(session_lines(session_dir), end="")
    return 0
