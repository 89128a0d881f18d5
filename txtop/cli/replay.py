"""`txtop replay`, `attach` and `stop`: a session on the screen, recorded or going on."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop.cli.common import (
    Fps,
    Glyphs,
    SessionDir,
    Theme,
    WarmupCut,
    check_cut,
    check_look,
    closing,
)
from txtop.errors import SessionError, UsageError


def replay(
    *sessions: Annotated[
        str, Parameter(help="name, id or path; two play side by side; default a bundled one")
    ],
    at: Annotated[
        str | None, Parameter(help="start there: 1:23, or words of a cell or marker")
    ] = None,
    speed: Annotated[
        Literal["0.25", "0.5", "1", "2", "4", "8", "16", "32", "64"] | None,
        Parameter(help="default 1"),
    ] = None,
    warmup: WarmupCut = None,
    session_dir: SessionDir = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Play a recorded session on the live screen, or two side by side."""
    check_look(theme, fps)
    check_cut(warmup)
    from txtop.session.catalog import demo, resolve
    from txtop.ui.terminal.capabilities import capabilities

    if len(sessions) > 2:
        raise UsageError(f"{len(sessions)} sessions are too many", "one, or two side by side")
    paths = [resolve(name, session_dir) for name in sessions] or [demo()]
    if not capabilities().screen:
        from txtop.cli.headless import replay_lines

        for path in paths:
            replay_lines(path, warmup)
        return 0
    from txtop.ui.launch import run_replay

    run_replay(
        *paths,
        at=at,
        speed=float(speed) if speed else None,
        warmup=warmup,
        theme=theme,
        fps=fps,
        glyphs=glyphs,
    )
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
    from txtop.cli.headless import follow_lines
    from txtop.cli.session_args import running
    from txtop.ui.terminal.capabilities import capabilities

    path = running(session, session_dir)
    if not capabilities().screen:
        return follow_lines(path)
    from txtop.ui.launch import run_follow

    run_follow(path, theme=theme, fps=fps, glyphs=glyphs)
    return closing(path, None)


def stop(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDir = None,
) -> int:
    """End a running session after the step at hand."""
    from txtop.cli.session_args import running
    from txtop.runner.client import Control
    from txtop.session.catalog import session_id

    path = running(session, session_dir)
    if not Control(path).send("stop"):
        raise SessionError(f"session {session_id(path)} does not answer", "it may have just ended")
    print(f"stopping {session_id(path)}", file=sys.stderr)
    return 0
