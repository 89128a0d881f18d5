"""Open the screen: one function per way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop import settings
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.drawing import themes
from txtop.ui.drawing.glyphs import GlyphMode
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
    *,
    name: str | None = None,
    session_dir: Path | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
    on_hangup: OnHangup | None = None,
) -> Path | None:
    """Launch a run and show it; return its session. Raises `TxtopError` if it cannot start."""
    mode = LiveMode(plan, name=name, session_dir=session_dir, on_hangup=on_hangup)
    return run_app(mode, fps=fps, theme=theme, glyphs=glyphs)


def run_resumed(
    path: Path,
    *,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
    on_hangup: OnHangup | None = None,
) -> Path | None:
    """Start a runner for the missing cells of a session, and show it."""
    mode = LiveMode(path=path, resumes=True, on_hangup=on_hangup)
    return run_app(mode, fps=fps, theme=theme, glyphs=glyphs)


def run_follow(
    path: Path,
    *,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
    view_only: bool = False,
) -> Path | None:
    """Show a run that was started elsewhere."""
    mode = LiveMode(path=path)
    return run_app(mode, fps=fps, theme=theme, glyphs=glyphs, view_only=view_only)


def run_replay(
    *paths: Path,
    at: str | None = None,
    speed: float | None = None,
    warmup: int | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
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
    run_app(mode, fps=fps, theme=theme, glyphs=glyphs, view_only=view_only)


def run_demo(
    path: Path,
    *,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
) -> None:
    """Replay a session from its first measured iteration on, with a caption for each scene."""
    start = ReplayStart(speed=DEMO_SPEED, guided=True)
    run_app(ReplayMode(path, start), fps=fps, theme=theme, glyphs=glyphs)


def run_fleet(
    folder: Path,
    copies: FleetCopies | None = None,
    *,
    attached: bool = False,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
    view_only: bool = False,
) -> None:
    """Show a fleet, while it is copied if there are `copies`."""
    mode = FleetMode(folder, copies, attached=attached)
    run_app(mode, fps=fps, theme=theme, glyphs=glyphs, view_only=view_only)


def run_home(
    *,
    session_dir: Path | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: GlyphMode | None = None,
) -> Path | None:
    """Show the home screen; return the session of the last run that was opened from it."""
    return run_app(HomeMode(session_dir=session_dir), fps=fps, theme=theme, glyphs=glyphs)


def run_app(
    first: AppMode,
    *,
    fps: float | None,
    theme: str | None,
    glyphs: GlyphMode | None,
    view_only: bool = False,
) -> Path | None:
    """Show `first` until it is left. A terminal that went away ends the process with 129."""
    can, own = detect_capabilities(), settings.load_settings()
    look = choose_look(theme, glyphs, own, can)
    options = AppOptions(
        look.theme,
        look.glyphs,
        fps or own.fps or can.fps,
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
