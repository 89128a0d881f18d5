"""Find sessions: those of this user, the bundled ones, and the one that a name or a path means."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from txtop import resources, settings
from txtop.errors import SessionError, UsageError, did_you_mean
from txtop.formatting import format_count
from txtop.protocol import events
from txtop.session.reader import LogReader, find_log_path
from txtop.session.writer import LOG_NAME

FLEET_NAME = "fleet.json"
"""The file of a folder that holds the sessions of a run on several machines."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SUFFIXES = (".jsonl", ".jsonl.gz")
_LISTED = (
    events.ABBlock,
    events.CellFinished,
    events.CellRejected,
    events.RaceBlock,
    events.Segment,
    events.SessionEnded,
)
UNREADABLE = "unreadable"
"""The value of `ended` in an entry with a `problem`."""


@dataclass(frozen=True)
class CatalogEntry:
    """One session in a list.

    `ended` is None while it is running or if it was cut off; `is_ab` is True for an A/B. With a
    `problem` the session cannot be read, and nothing but its name and time is known. A cell is
    refused before it is measured, and fails afterwards. The cells of a search are its probes that
    ended, and those of a race that was cut off count once they were timed.
    """

    id: str
    name: str | None
    path: Path
    wall_s: float
    models: tuple[str, ...]
    precisions: tuple[str, ...]
    cells_ok: int
    cells_total: int
    ended: str | None
    bundled: bool
    size_bytes: int
    is_ab: bool = False
    cells_refused: int = 0
    cells_failed: int = 0
    problem: str = ""
    is_search: bool = False
    # Where cells do not tell what was measured: the `3 probes` of a search for what fits, the
    # `12 blocks` or `4 starts` of an A/B, the `9 candidates` of a race.
    counted: str = ""

    @property
    def progress(self) -> str:
        """Return what was measured: `2/3 cells`, or what is `counted`."""
        return self.counted or f"{self.cells_ok}/{self.cells_total} cells"


def get_sessions_dir() -> Path:
    """Return this user's sessions folder.

    It is `TXTOP_SESSION_DIR`, else that of the settings, else the platform's folder for state.
    """
    chosen = os.environ.get("TXTOP_SESSION_DIR") or settings.load_settings().session_dir
    return Path(chosen).expanduser() if chosen else user_state_path("txtop") / "sessions"


def check_name(name: str) -> str:
    """Return `name` if it can name a session. Raises `UsageError`."""
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} cannot name a session", "use up to 80 letters, digits, dots, - and _"
        )
    return name


def require_free_name(name: str, folder: Path | None) -> None:
    """Raise `UsageError` if `name` cannot name a new session in `folder`, or is taken there."""
    home = (folder or get_sessions_dir()).expanduser()
    if any(_exists(home / (check_name(name) + ending)) for ending in ("", *_SUFFIXES)):
        raise UsageError(f"a session {name!r} exists already", "choose another name")


def get_session_id(path: Path) -> str:
    """Return the id of the session at `path`: its folder, or its file without the suffix."""
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix) and path.name != LOG_NAME:
            return path.name.removesuffix(suffix)
    return path.parent.name if path.name == LOG_NAME else path.name


def list_session_paths(folder: Path) -> list[Path]:
    """Return the sessions in a folder and in its fleets, also unreadable ones.

    There are none if the folder cannot be read.
    """
    try:
        contents = sorted(folder.iterdir())
    except OSError:
        return []
    paths: list[Path] = []
    for path in contents:
        if _is_session(path):
            paths.append(path)
        elif _exists(path / FLEET_NAME):
            paths += filter(_is_session, sorted(path.iterdir()))
    return paths


def _is_session(path: Path) -> bool:
    """Return True for a session, and for what cannot be looked into but has the name of one."""
    try:
        if path.name.endswith(_SUFFIXES):
            return path.is_file()
        return (path / LOG_NAME).is_file()
    except PermissionError:
        return NAME_PATTERN.fullmatch(path.name) is not None
    except OSError:
        return False


def read_entry(path: Path, bundled: bool = False) -> CatalogEntry | None:
    """Read the entry of a session, or return None if it is unreadable."""
    try:
        return _read_entry(path, bundled)
    except (SessionError, OSError):
        return None


def _read_entry(path: Path, bundled: bool) -> CatalogEntry:
    """Read the entry of a session. Raises `SessionError` or `OSError` if it is unreadable."""
    reader = LogReader(path, only=_LISTED)
    try:
        header: events.SessionHeader | None = None
        outcomes: dict[str, str] = {}
        timed: dict[str, str] = {}
        blocks: list[events.ABBlock] = []
        ended: str | None = None
        while not reader.at_end:
            for event in reader.poll():
                if isinstance(event, events.SessionHeader):
                    header = event
                elif isinstance(event, events.ABBlock | events.RaceBlock) and not event.kept:
                    continue
                elif isinstance(event, events.ABBlock):
                    blocks.append(event)
                elif isinstance(event, events.RaceBlock):
                    timed |= dict.fromkeys(event.iterations, "ok")
                elif isinstance(event, events.CellFinished):
                    outcomes[event.cell] = event.status
                elif isinstance(event, events.CellRejected):
                    outcomes[event.cell] = "rejected"
                elif isinstance(event, events.Segment | events.SessionEnded):
                    ended = getattr(event, "reason", None)
    finally:
        reader.close()
    if header is None:
        raise SessionError(f"{reader.path} has no header", "it is no session, or just begins")
    ends = list((timed | outcomes).values())
    is_search = header.plan.edge_search is not None
    probes = [status for status in ends if status not in ("skipped", "cancelled")]
    counted = format_count(len(probes), "probe") if is_search else ""
    if header.plan.tuning is not None:
        counted = format_count(ends.count("ok"), "candidate")
    if is_ab := header.plan.margin is not None:
        # The first of several starts counts its blocks until it is over.
        starts = sum(block.ends_start for block in blocks)
        counted = format_count(starts, "start") if starts else format_count(len(blocks), "block")
    return CatalogEntry(
        id=get_session_id(path),
        name=header.name,
        path=path,
        wall_s=header.wall_s,
        models=tuple(dict.fromkeys(c.model for c in header.plan.cells)),
        precisions=tuple(dict.fromkeys(c.precision for c in header.plan.cells)),
        cells_ok=ends.count("ok"),
        cells_total=len(probes if is_search else header.plan.cells),
        ended=ended,
        bundled=bundled,
        size_bytes=reader.path.stat().st_size,
        is_ab=is_ab,
        cells_refused=ends.count("rejected"),
        cells_failed=sum(ends.count(status) for status in ("failed", "oom", "timeout")),
        is_search=is_search,
        counted=counted,
    )


def list_recent(limit: int | None = None, folder: Path | None = None) -> list[CatalogEntry]:
    """Return this user's sessions, newest first, then the bundled ones; at most `limit`.

    One that cannot be read is an entry with a `problem`.
    """
    paths = _select_newest(list_session_paths(folder or get_sessions_dir()), limit)
    own = list(map(_read_or_explain, paths))
    own.sort(key=lambda f: -f.wall_s)
    shipped = [entry for p in list_bundled() if (entry := read_entry(p, True))]
    return (own + shipped)[:limit]


def _read_or_explain(path: Path) -> CatalogEntry:
    try:
        return _read_entry(path, False)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except SessionError as error:
        problem = " ".join(error.cause.replace(str(find_log_path(path)), "").split())
    return CatalogEntry(
        id=get_session_id(path),
        name=None,
        path=path,
        wall_s=_read_change_s(path),
        models=(),
        precisions=(),
        cells_ok=0,
        cells_total=0,
        ended=UNREADABLE,
        bundled=False,
        size_bytes=0,
        problem=problem,
    )


def _select_newest(paths: list[Path], limit: int | None) -> list[Path]:
    return sorted(paths, key=_read_change_s, reverse=True)[:limit]


def _read_change_s(path: Path) -> float:
    """Return when a session was last written; of one that cannot be looked into, its folder."""
    for changed in (find_log_path(path), path):
        with suppress(OSError):
            return changed.lstat().st_mtime
    return 0.0


def list_bundled() -> list[Path]:
    """Return the paths of the recordings that ship with txtop."""
    return list_session_paths(resources.find_directory("sessions"))


def find_example() -> Path:
    """Return the recording that plays when none is named."""
    return resources.find_directory("sessions") / "gpt2-precisions.jsonl"


def find_demo() -> Path:
    """Return the recording of the guided demo: an A/B with a verdict."""
    return resources.find_directory("sessions") / "smollm2-int8.jsonl"


def resolve_session(name: str, folder: Path | None = None) -> Path:
    """Return the session that `name` means: an id, a --name, or else a path.

    Raises `SessionError`.
    """
    paths = _list_paths(folder)
    if (own := find_by_id(name, folder)) is not None:
        return own
    for path in paths:
        # A folder is found by its own name only: it may have been renamed since its header.
        entry = read_entry(path) if NAME_PATTERN.fullmatch(name) and path.is_file() else None
        if entry and entry.name == name:
            return path
    path = Path(name)
    if _exists(path):
        if path.is_file() or _is_session(path):
            return path
        raise SessionError(
            f"{name} is a folder without {LOG_NAME}", "txtop sessions lists what is here"
        )
    if members := [get_session_id(path) for path in paths if path.parent.name == name]:
        raise SessionError(f"{name} is a fleet", f"name one of its sessions: {', '.join(members)}")
    hint = did_you_mean(name, map(get_session_id, paths), "txtop sessions lists what is here")
    raise SessionError(f"no session {name[:80]!r}", hint)


def find_by_id(name: str, folder: Path | None) -> Path | None:
    """Return the session with the id `name`, and no other file of that name; None without one."""
    return next((path for path in _list_paths(folder) if get_session_id(path) == name), None)


def _list_paths(folder: Path | None) -> list[Path]:
    return [*list_session_paths(folder or get_sessions_dir()), *list_bundled()]


def _exists(path: Path) -> bool:
    """Return True if `path` exists; False, too, for a name that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
