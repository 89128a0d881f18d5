"""`txtop sessions`: what was recorded here, its names, and what goes."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from txtop.cli.common import SessionDir
from txtop.errors import UsageError

app = App(name="sessions", help="List the recorded sessions; rename or delete them.")


@app.default
def listed(
    *query: Annotated[str, Parameter(help="only those with these words")],
    session_dir: SessionDir = None,
) -> int:
    """List the recorded sessions, newest first, and the bundled ones."""
    from txtop.cli.session_list import lines, warning

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
