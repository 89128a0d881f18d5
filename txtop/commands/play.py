"""`txtop replay`, `attach` and `stop`: a session on the screen, recorded or going on."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from txtop.commands.options import Fps, Glyphs, SessionDir, Theme, check_look, closing
from txtop.errors import SessionError


def replay(
    session: Annotated[
        str | None, Parameter(help="name, id or path; default a bundled one")
    ] = None,
    *,
    session_dir: SessionDir = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Play a recorded session on the live screen."""
    check_look(theme, fps)
    from txtop.session.find import bundled, resolve
    from txtop.ui.terminal import capabilities

    if session is None:
        shipped = bundled()
        if not shipped:
            raise SessionError("no bundled recording is installed", "name a session")
        path = shipped[-1]
    else:
        path = resolve(session, session_dir)
    if not capabilities().screen:
        from txtop.headless import replay_lines

        replay_lines(path)
        return 0
    from txtop.ui.app import run_replay

    run_replay(path, theme=theme, fps=fps, glyphs=glyphs)
    return 0


def attach(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDir = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Show a run that goes on, from any terminal of this machine."""
    check_look(theme, fps)
    from txtop.headless import follow_lines, running
    from txtop.ui.terminal import capabilities

    path = running(session, session_dir)
    if not capabilities().screen:
        return follow_lines(path)
    from txtop.ui.app import run_follow

    run_follow(path, theme=theme, fps=fps, glyphs=glyphs)
    return closing(path, None)


def stop(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDir = None,
) -> int:
    """End a running session after the step at hand."""
    from txtop.headless import running
    from txtop.runner.client import Control
    from txtop.session.find import session_id

    path = running(session, session_dir)
    if not Control(path).send("stop"):
        raise SessionError(f"session {session_id(path)} does not answer", "it may have just ended")
    print(f"stopping {session_id(path)}", file=sys.stderr)
    return 0
