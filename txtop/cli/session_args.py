"""The session that a command names: found by name or state, and read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from txtop.errors import SessionError, UsageError
from txtop.fleet.folder import find_fleet, has_log, read_fleet
from txtop.plan.labels import format_short_label
from txtop.runner.liveness import is_entry_running, is_running, load_session
from txtop.sanitise import sanitise
from txtop.session import catalog
from txtop.state.pending_work import (
    find_missing_cells,
    find_unexplained_cells,
    list_pending_outputs,
)
from txtop.state.session import SessionState


@dataclass(frozen=True)
class NamedSession:
    """A session that a command takes, and the label of its place if it is one of a fleet."""

    path: Path
    place: str = ""


def resolve_sessions(name: str, folder: Path | None) -> list[NamedSession]:
    """Return the session `name`, or the copies of the fleet of that name.

    Raises `SessionError` for neither, and for a fleet of which nothing came yet.
    """
    fleet = find_fleet(name, folder)
    if fleet is None:
        return [NamedSession(catalog.resolve_session(name, folder))]
    copies = [
        NamedSession(fleet / member.session, member.label)
        for member in read_fleet(fleet).members
        if has_log(fleet / member.session)
    ]
    if not copies:
        raise SessionError(f"nothing of {name} came yet", f"txtop attach {name} copies it")
    return copies


def load_sessions(
    name: str, folder: Path | None, warmup_cut: int | None = None
) -> dict[str, SessionState]:
    """Return the states of a fleet by place, or of a session under an empty name.

    What could not be read is printed. Raises `SessionError`.
    """
    return read_sessions(resolve_sessions(name, folder), warmup_cut)


def read_sessions(
    sessions: Iterable[NamedSession], warmup_cut: int | None
) -> dict[str, SessionState]:
    """Return the state of each session by its place, and print what could not be read.

    Raises `SessionError`.
    """
    states = {}
    for named in sessions:
        states[named.place], problems = load_session(named.path, warmup_cut)
        source = f"{named.place}: " if named.place else ""
        for line in problems.lines():
            print(f"txtop: {source}{sanitise(line)}", file=sys.stderr)
    return states


def load_named_session(name: str, folder: Path | None) -> SessionState:
    """Return the state of the session `name`, and print what could not be read of it.

    Raises `SessionError`.
    """
    state, problems = load_session(catalog.resolve_session(name, folder))
    for line in problems.lines():
        print(f"txtop: {sanitise(line)}", file=sys.stderr)
    return state


def find_running_session(name: str | None, folder: Path | None) -> Path:
    """Return the session `name`, or the newest running one. Raises `SessionError` if none runs."""
    if name is not None:
        path = catalog.resolve_session(name, folder)
        if not is_running(path):
            raise SessionError(f"session {name[:80]} is not running here", "txtop replay plays it")
        return path
    for entry in catalog.list_recent(folder=folder):
        if is_entry_running(entry):
            return entry.path
    raise SessionError("no session is running here", "txtop run starts one")


def find_resumable_session(name: str | None, folder: Path | None) -> Path:
    """Return the session `name`, or the newest incomplete one.

    Raises `SessionError` if there is none, `UsageError` if it is running or cannot be resumed.
    """
    if name is None:
        path = _find_interrupted_session(folder)
    else:
        path = catalog.resolve_session(name, folder)
        if not path.is_dir():
            raise UsageError(
                f"{name[:80]} is a file", "only a session in its own folder can be resumed"
            )
    if is_running(path):
        raise UsageError(f"{path.name} is running", f"txtop attach {path.name} shows it")
    return path


def is_incomplete(path: Path) -> bool:
    """Return whether a session lacks results, outputs beside its cells, or its end.

    A runner may be killed between its last result and the end.
    """
    state = load_session(path)[0]
    if state.ended is None:
        return True
    search = state.plan.edge_search
    if search is not None:
        from txtop.forecast.edge import choose_next_probe

        return choose_next_probe(state, search) is not None
    if state.race is not None:
        from txtop.stats.race import choose_step

        return choose_step(state.race.race) is not None
    return bool(find_missing_cells(state)) or any(list_pending_outputs(state))


def explain_completeness(path: Path) -> str:
    """Say why there is nothing to resume in a session: all is there, or would fail again."""
    from txtop.options.command_line import format_explain_command

    state = load_session(path)[0]
    failures = [
        f"{format_short_label(cell)} is not explained ({state.explanations[cell.id].failed}):"
        f" {format_explain_command(state.plan, cell)} explains it anew"
        for cell in find_unexplained_cells(state)
    ]
    failures += [
        f"{task} was not answered ({ending.failed}): correct the task, then start a new run"
        for (_, task), ending in state.answered.items()
        if ending.failed
    ]
    if not failures:
        return f"nothing of {path.name} is missing"
    return sanitise(f"what failed in {path.name} would fail again: {'; '.join(failures)}")


def require_searched_model(state: SessionState) -> None:
    """Check that the model and the device are here of a search that lacks probes.

    Raises `UsageError`: the next of them would fail.
    """
    search = state.plan.edge_search
    if search is None:
        return
    from txtop.forecast.edge import choose_next_probe
    from txtop.models.absent_models import explain_absent
    from txtop.system.gpus import refuse_absent_device

    if choose_next_probe(state, search) is None:
        return
    if absent := explain_absent(search.base):
        raise UsageError(absent.cause, "put it back, or txtop fit MODEL begins anew")
    if refusal := refuse_absent_device(search.base.device):
        raise UsageError(*refusal)


def _find_interrupted_session(folder: Path | None) -> Path:
    for entry in catalog.list_recent(folder=folder):
        is_cut = entry.ended in (None, "stopped", "failed") and entry.path.is_dir()
        if not is_cut or entry.bundled or is_running(entry.path):
            continue
        if is_incomplete(entry.path):
            return entry.path
    raise SessionError("no session was interrupted here", "txtop sessions lists them")


def find_idle_session(name: str, folder: Path | None) -> Path:
    """Return the session `name`. Raises `SessionError`; `UsageError` if it is still running."""
    path = catalog.resolve_session(name, folder)
    if is_running(path):
        session_id = catalog.get_session_id(path)
        raise UsageError(f"{session_id} is running", f"txtop stop {session_id} ends it")
    return path
