"""`txtop replay`, `attach` and `stop`: recorded and running sessions."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop.cli.common import (
    DEFAULT_SCREEN,
    ScreenOptions,
    SessionDirOption,
    ViewOnlyOption,
    WarmupCutOption,
    check_screen_options,
    report_after_screen,
)
from txtop.errors import SessionError, UsageError
from txtop.options import limits


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
    warmup: WarmupCutOption = None,
    view_only: ViewOnlyOption = False,
    session_dir: SessionDirOption = None,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Play a recorded session on the live screen, or two side by side; a fleet opens its places."""
    check_screen_options(screen)
    limits.check_integer("--warmup", warmup, 0)
    from txtop.cli.session_args import resolve_sessions
    from txtop.fleet.folder import find_fleet
    from txtop.session.catalog import find_example, resolve_session
    from txtop.ui.terminal.capabilities import detect_capabilities

    if len(sessions) > 2:
        raise UsageError(f"{len(sessions)} sessions are too many", "one, or two side by side")
    if len(sessions) == 1 and (fleet := find_fleet(sessions[0], session_dir)):
        paths = [named.path for named in resolve_sessions(sessions[0], session_dir)]
    else:
        fleet = None
        paths = [resolve_session(name, session_dir) for name in sessions] or [find_example()]
    if not detect_capabilities().screen:
        from txtop.cli.headless import print_recorded_session

        for path in paths:
            print_recorded_session(path, warmup)
        return 0
    from txtop.ui.launch import run_fleet, run_replay

    if fleet is not None:
        if at is not None or speed is not None or warmup is not None:
            raise UsageError(
                "--at, --speed and --warmup are of one session", "open a place, or name its session"
            )
        run_fleet(fleet, look=screen, view_only=view_only)
        return 0
    run_replay(
        *paths,
        look=screen,
        at=at,
        speed=float(speed) if speed else None,
        warmup=warmup,
        view_only=view_only,
    )
    return 0


def play_demo(screen: ScreenOptions) -> int:
    """Play the guided demo: the bundled A/B from its first block on, with captions."""
    check_screen_options(screen)
    from txtop.session.catalog import find_demo
    from txtop.ui.terminal.capabilities import detect_capabilities

    if not detect_capabilities().screen:
        from txtop.cli.headless import print_recorded_session

        print_recorded_session(find_demo())
        return 0
    from txtop.ui.launch import run_demo

    run_demo(find_demo(), screen)
    return 0


def attach(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    view_only: ViewOnlyOption = False,
    session_dir: SessionDirOption = None,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Show a running session from any terminal of this machine; of a fleet, copy the rest."""
    check_screen_options(screen)
    from txtop.fleet.folder import find_fleet

    if session is not None and (folder := find_fleet(session, session_dir)):
        from txtop.cli.fleet import show_fleet

        return show_fleet(folder, screen, attached=True, view_only=view_only)
    from txtop.cli.headless import print_running_session
    from txtop.cli.session_args import find_running_session
    from txtop.ui.terminal.capabilities import detect_capabilities

    path = find_running_session(session, session_dir)
    if not detect_capabilities().screen:
        return print_running_session(path)
    from txtop.ui.launch import run_follow

    run_follow(path, screen, view_only=view_only)
    return report_after_screen(path, None)


def stop(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDirOption = None,
) -> int:
    """End a running session after the step at hand; of a fleet, those of all places."""
    from txtop.cli.session_args import find_running_session
    from txtop.fleet.folder import find_fleet
    from txtop.runner.control_client import ControlClient
    from txtop.session.catalog import get_session_id

    if session is not None and (folder := find_fleet(session, session_dir)):
        from txtop.cli.fleet import stop_fleet

        return stop_fleet(folder)
    path = find_running_session(session, session_dir)
    if not ControlClient(path).send("stop", by="txtop stop"):
        raise SessionError(
            f"session {get_session_id(path)} does not answer", "it may have just ended"
        )
    print(f"stopping {get_session_id(path)}", file=sys.stderr)
    return 0
