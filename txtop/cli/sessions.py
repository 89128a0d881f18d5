"""`txtop sessions`: list, rename and delete recorded sessions."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from txtop.cli.common import SessionArgument, SessionDirOption
from txtop.errors import UsageError

app = App(name="sessions", help="List the recorded sessions; rename or delete them.")


@app.default
def list_sessions(
    *query: Annotated[str, Parameter(help="only those with these words")],
    session_dir: SessionDirOption = None,
) -> int:
    """List the recorded sessions, newest first, and the bundled ones."""
    from txtop.cli.session_list import print_sessions

    print_sessions(session_dir, query)
    return 0


@app.command
def rename(
    old: SessionArgument,
    new: Annotated[str, Parameter(help="up to 80 letters, digits, dots, - and _")],
    *,
    session_dir: SessionDirOption = None,
) -> int:
    """Give a session another name."""
    from txtop.cli.session_args import find_idle_session
    from txtop.session import manage

    manage.rename_session(
        manage.require_owned(find_idle_session(old, session_dir), session_dir), new
    )
    return 0


@app.command
def delete(
    *names: SessionArgument,
    yes: Annotated[bool, Parameter(help="do not ask")] = False,
    session_dir: SessionDirOption = None,
) -> int:
    """Delete sessions, for good."""
    from txtop.cli.session_args import find_idle_session
    from txtop.session import manage

    if not names:
        raise UsageError("delete needs a session", "txtop sessions lists them")
    paths = [
        manage.require_owned(find_idle_session(name, session_dir), session_dir) for name in names
    ]
    if not yes and not _confirm_deletion(names):
        raise UsageError("nothing was deleted", "--yes deletes without a question")
    freed = sum(map(manage.delete_session, dict.fromkeys(paths)))
    print(f"txtop: {freed / 1e6:,.1f} MB freed", file=sys.stderr)
    return 0


def _confirm_deletion(names: tuple[str, ...]) -> bool:
    """Ask on the terminal; without one the answer is no."""
    if not sys.stdin.isatty():
        return False
    from txtop.sanitise import sanitise

    print(f"delete {sanitise(', '.join(names), 300)} for good? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
