"""Find the session that a command names, and read it."""

from __future__ import annotations

import sys
from pathlib import Path

from txtop.errors import SessionError, UsageError
from txtop.runner.client import ControlClient
from txtop.runner.session_start import find_missing_cells, find_pending_comparisons
from txtop.sanitise import sanitise
from txtop.session import catalog
from txtop.session.reader import ReadProblems, read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def load_session(path: Path, warmup_cut: int | None = None) -> tuple[SessionState, ReadProblems]:
    """The state at the end of a recorded session. Raises `SessionError`."""
    found, problems = read_all(path)
    return fold_all(found, warmup_cut), problems


def load_named_session(
    name: str, folder: Path | None, warmup_cut: int | None = None
) -> SessionState:
    """The state of the session `name`; what was not read of it is said. Raises `SessionError`."""
    state, problems = load_session(catalog.resolve_session(name, folder), warmup_cut)
    for line in problems.lines():
        print(f"txtop: {sanitise(line)}", file=sys.stderr)
    return state


def find_running_session(name: str | None, folder: Path | None) -> Path:
    """The session `name`, or the newest one that runs. Raises `SessionError` where none does."""
    if name is not None:
        path = catalog.resolve_session(name, folder)
        if ControlClient(path).status() is None:
            raise SessionError(f"session {name[:80]} is not running here", "txtop replay plays it")
        return path
    for found in catalog.list_recent(folder=folder):
        if (
            found.ended is None
            and not found.bundled
            and ControlClient(found.path).status() is not None
        ):
            return found.path
    raise SessionError("no session is running here", "txtop run starts one")


def find_resumable_session(name: str | None, folder: Path | None) -> Path:
    """The session `name`, or the newest of which something is missing.

    Raises `SessionError` where there is none, `UsageError` where it cannot go on.
    """
    if name is None:
        path = _find_interrupted_session(folder)
    else:
        path = catalog.resolve_session(name, folder)
        if not path.is_dir():
            raise UsageError(f"{name[:80]} is a file", "only a session in its own folder goes on")
    if ControlClient(path).status() is not None:
        raise UsageError(f"{path.name} is running", f"txtop attach {path.name} shows it")
    return path


def is_incomplete(path: Path) -> bool:
    """Whether a session has cells without a result, or outputs that were not compared yet."""
    state = load_session(path)[0]
    return bool(find_missing_cells(state) or find_pending_comparisons(state))


def _find_interrupted_session(folder: Path | None) -> Path:
    for found in catalog.list_recent(folder=folder):
        cut = found.ended in (None, "stopped", "failed") and found.path.is_dir()
        if not cut or found.bundled or ControlClient(found.path).status() is not None:
            continue
        if is_incomplete(found.path):
            return found.path
    raise SessionError("no session was interrupted here", "txtop sessions lists them")


def find_idle_session(name: str, folder: Path | None) -> Path:
    """The session `name`, which nobody is recording. Raises `SessionError`, `UsageError`."""
    path = catalog.resolve_session(name, folder)
    if ControlClient(path).status() is not None:
        known = catalog.get_session_id(path)
        raise UsageError(f"{known} is running", f"txtop stop {known} ends it")
    return path
