"""Tell whether a session is being recorded now, and read one that may be.

Apart from the client, whose sockets a list of finished sessions does not need.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop.session.catalog import CatalogEntry

if TYPE_CHECKING:
    from txtop.session.reader import ReadProblems
    from txtop.state.session import SessionState


def is_entry_running(entry: CatalogEntry) -> bool:
    """Return whether a session of the list is being recorded; one that has an end is not asked."""
    return entry.ended is None and not entry.bundled and is_running(entry.path)


def is_running(path: Path) -> bool:
    """Return whether a runner of the session at `path` answers."""
    from txtop.runner.control_client import ControlClient

    return ControlClient(path).status() is not None


def load_session(path: Path, warmup_cut: int | None = None) -> tuple[SessionState, ReadProblems]:
    """Return the state at the end of a recorded session. Raises `SessionError`.

    Of a race that was cut off, what was measured has its end.
    """
    from txtop.session.reader import read_all
    from txtop.state.fold import end_candidates, fold_all

    events, problems = read_all(path)
    state = fold_all(events, warmup_cut)
    if state.ended is None and not is_running(path):
        end_candidates(state)
    return state, problems
