"""`txtop sessions`: what was recorded here, its names, and what goes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from txtop.cli.common import SessionDir
from txtop.errors import UsageError
from txtop.runner.client import Control
from txtop.sanitise import sanitise
from txtop.session import catalog, manage
from txtop.session.catalog import Found


def lines(folder: Path | None, query: Sequence[str] = ()) -> str:
    """All sessions that have every word of `query`, newest first, one line each; then the total."""
    home = folder or catalog.sessions_dir()
    found = [(each, _line(each)) for each in catalog.recent(folder=folder)]
    wanted = [word.casefold() for word in query]
    rows = [(f, line) for f, line in found if all(word in line.casefold() for word in wanted)]
    own = [f for f, _ in rows if not f.bundled]
    nothing = "no session has these words" if wanted else ""
    said = [line for _, line in rows] or [nothing or "no session yet: txtop run makes one"]
    if own:
        total = sum(manage.size_bytes(f.path) for f in own)
        many = f"{len(own)} session{'s' if len(own) > 1 else ''}"
        said.append(f"{many}, {total / 1e6:,.1f} MB in {sanitise(str(home), 200)}")
    return "\n".join(said) + "\n"


def warning(folder: Path | None) -> str | None:
    """What is to be said of the room that this user's sessions take; null when they are small."""
    home = folder or catalog.sessions_dir()
    return manage.over_cap(sum(manage.size_bytes(path) for path in catalog.paths(home)))


def _line(found: Found) -> str:
    when = datetime.fromtimestamp(found.wall_s).strftime("%Y-%m-%d %H:%M")
    state = found.ended or ("running" if Control(found.path).status() else "cut off")
    mark = "bundled" if found.bundled else state
    kind = "A/B " if found.versus else ""
    what = f"{', '.join(found.models)} · {kind}{', '.join(found.precisions)}"
    cells = f"{found.cells_ok}/{found.cells_total} cells"
    size = f"{manage.size_bytes(found.path) / 1e6:,.1f} MB"
    return f"{found.id:<28} {when}  {mark:<8} {cells:>11} {size:>9}  {sanitise(what, 80)}"


app = App(name="sessions", help="List the recorded sessions; rename or delete them.")


@app.default
def listed(
    *query: Annotated[str, Parameter(help="only those with these words")],
    session_dir: SessionDir = None,
) -> int:
    """List the recorded sessions, newest first, and the bundled ones."""
    pass

    if session_dir is not None and not session_dir.is_dir():
        print(f"txtop: no folder {session_dir}", file=sys.stderr)
    print(lines(session_dir, query), end="")
    if said := warning(session_dir):
        print(f"txtop: {said}", file=sys.stderr)
    return 0


@app.command
def rename(old: str, new: str, *, session_dir: SessionDir = None) -> int:
    """Give a session another name."""
    from txtop.cli.session_args import resting
    from txtop.session import manage

    manage.rename(manage.owned(resting(old, session_dir), session_dir), new)
    return 0


@app.command
def delete(
    *names: str,
    yes: Annotated[bool, Parameter(help="do not ask")] = False,
    session_dir: SessionDir = None,
) -> int:
    """Delete sessions, for good."""
    from txtop.cli.session_args import resting
    from txtop.session import manage

    if not names:
        raise UsageError("delete needs a session", "txtop sessions lists them")
    paths = [manage.owned(resting(name, session_dir), session_dir) for name in names]
    if not yes and not _agreed(names):
        raise UsageError("nothing was deleted", "--yes deletes without a question")
    freed = sum(map(manage.delete, dict.fromkeys(paths)))
    print(f"txtop: {freed / 1e6:,.1f} MB are free", file=sys.stderr)
    return 0


def _agreed(names: tuple[str, ...]) -> bool:
    """Asks, where there is somebody to ask."""
    if not sys.stdin.isatty():
        return False
    from txtop.sanitise import sanitise

    print(f"delete {sanitise(', '.join(names), 300)} for good? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
