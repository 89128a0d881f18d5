"""Open the screen: one function per way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop import settings
from txtop.settings import AS_SET, AskedLook
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.drawing import themes
from txtop.ui.fleet_mode import FleetMode
from txtop.ui.modes import AppMode, HomeMode, LiveMode, ReplayMode, ReplayStart, SideBySideMode
from txtop.ui.terminal.capabilities import (
    HANGUP_STATUS,
    TerminalGuard,
    choose_look,
    detach_stdio,
    detect_capabilities,
)
from txtop.ui.terminal.driver import TerminalDriver

DEMO_SPEED = 4.0

if TYPE_CHECKING:
    from txtop.fleet.fleet_run import FleetCopies
    from txtop.plan.plan import Plan
    from txtop.settings import OnHangup


def run_live(
    plan: Plan,
    look: AskedLook,
    *,
    name: str | None,
    session_dir: Path | None,
    on_hangup: OnHangup | None,
) -> Path | None:
    """Launch a run and show it; return its session. Raises `TxtopError` if it cannot start."""
    mode = LiveMode(plan, name=name, session_dir=session_dir, on_hangup=on_hangup)
    return run_app(mode, look)


def run_resumed(path: Path, look: AskedLook, *, on_hangup: OnHangup | None) -> Path | None:
    """Start a runner for the missing cells of a session, and show it."""
    mode = LiveMode(path=path, resumes=True, on_hangup=on_hangup)
    return run_app(mode, look)


def run_follow(path: Path, look: AskedLook, *, view_only: bool = False) -> Path | None:
    """Show a run that was started elsewhere."""
    mode = LiveMode(path=path)
    return run_app(mode, look, view_only=view_only)


def run_replay(
    *paths: Path,
    look: AskedLook = AS_SET,
    at: str | None = None,
    speed: float | None = None,
    warmup: int | None = None,
    view_only: bool = False,
) -> None:
    """Replay a session, or two side by side. Raises `SessionError` for a path that has none.

    `at` is the place where it starts: a time, or the words of a cell or marker; `warmup` replaces
    the recorded warm-up cut.
    """
    start = ReplayStart(at, speed, warmup)
    mode = (
        ReplayMode(paths[0], start)
        if len(paths) == 1
        else SideBySideMode(paths[0], paths[1], start)
    )
    run_app(mode, look, view_only=view_only)


def run_demo(path: Path, look: AskedLook) -> None:
    """Replay a session from its first measured iteration on, with a caption for each scene."""
    start = ReplayStart(speed=DEMO_SPEED, guided=True)
    run_app(ReplayMode(path, start), look)


def run_fleet(
    folder: Path,
    copies: FleetCopies | None = None,
    look: AskedLook = AS_SET,
    *,
    attached: bool = False,
    view_only: bool = False,
) -> None:
    """Show a fleet, while it is copied if there are `copies`."""
    mode = FleetMode(folder, copies, attached=attached)
    run_app(mode, look, view_only=view_only)


def run_home(look: AskedLook = AS_SET, *, session_dir: Path | None = None) -> Path | None:
    """Show the home screen; return the session of the last run that was opened from it."""
    return run_app(HomeMode(session_dir=session_dir), look)


def run_app(first: AppMode, asked: AskedLook = AS_SET, *, view_only: bool = False) -> Path | None:
    """Show `first` until it is left. A terminal that went away ends the process with 129."""
    can, own = detect_capabilities(), settings.load_settings()
    look = choose_look(asked, own, can)
    options = AppOptions(
        look.theme,
        look.glyphs,
        look.fps,
        (*own.problems, *themes.find_theme_problems(look.theme)),
        view_only,
    )
    app = TxtopApp(first, options)
    TerminalDriver.on_lost = app.lost
    with TerminalGuard(app.lost, app.interrupt) as guard:
        app.guard = guard
        path = app.run()
        app.mode.close(1.0)
    if guard.lost:
        detach_stdio()
        raise SystemExit(HANGUP_STATUS)
    if app.error is not None:
        raise app.error
    return path
