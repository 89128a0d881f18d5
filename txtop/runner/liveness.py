"""Tell whether a session is being recorded now.

Apart from the client, whose sockets a list of finished sessions does not need.
"""

from __future__ import annotations

from pathlib import Path

from txtop.session.catalog import CatalogEntry


def is_entry_running(entry: CatalogEntry) -> bool:
    """Return whether a session of the list is being recorded; one that has an end is not asked."""
    return entry.ended is None and not entry.bundled and is_running(entry.path)


def is_running(path: Path) -> bool:
    """Return whether a runner of the session at `path` answers."""
    from txtop.runner.control_client import ControlClient

    return ControlClient(path).status() is not None
