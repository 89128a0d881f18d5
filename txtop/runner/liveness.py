"""Tell whether a session is being recorded now.

Apart from the client, whose sockets a list of finished sessions does not need.
"""

from __future__ import annotations

from pathlib import Path


def is_running(path: Path) -> bool:
    """Return whether a runner of the session at `path` answers."""
    from txtop.runner.control_client import ControlClient

    return ControlClient(path).status() is not None
