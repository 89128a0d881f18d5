"""Open the screen: one function per way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop import settings
from txtop.ui.app_base import Options
from txtop.ui.drawing import themes
from txtop.ui.drawing.glyphs import Mode
from txtop.ui.modes import Home, Live, Recording, Show, SideBySide, Start
from txtop.ui.terminal.capabilities import HANGUP_STATUS, Guard, capabilities, detach
from txtop.ui.terminal.driver import TerminalDriver

if TYPE_CHECKING:
    from txtop.plan.plan import Plan
    from txtop.runner.spawn import OnHangup
from txtop.ui.app import TxtopApp


def run_live(
    plan: Plan,
    *,
    name: str | None = None,
    session_dir: Path | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: Mode | None = None,
    on_hangup: OnHangup | None = None,
) -> Path | None:
    """Launches a run and shows it; returns its session. Raises `TxtopError` if it cannot start."""
    show = Live(plan, name=name, session_dir=session_dir, on_hangup=on_hangup)
    return run(show, fps=fps, theme=theme, glyphs=glyphs)


def run_resumed(
    path: Path,
    *,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: Mode | None = None,
    on_hangup: OnHangup | None = None,
) -> Path | None:
    """Starts a runner for what is missing of a session, and shows it."""
    show = Live(path=path, resumes=True, on_hangup=on_hangup)
    return run(show, fps=fps, theme=theme, glyphs=glyphs)


def run_follow(
    path: Path,
    *,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: Mode | None = None,
) -> Path | None:
    """Shows a run that goes on elsewhere."""
    return run(Live(path=path), fps=fps, theme=theme, glyphs=glyphs)


def run_replay(
    *paths: Path,
    at: str | None = None,
    speed: float | None = None,
    warmup: int | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: Mode | None = None,
) -> None:
    """Plays a recorded session, or two side by side. Raises `SessionError` for what is none.

    `at` is where it starts: a time, or the words of a cell or marker; `warmup` another cut.
    """
    start = Start(at, speed, warmup)
    show = Recording(paths[0], start) if len(paths) == 1 else SideBySide(paths[0], paths[1], start)
    run(show, fps=fps, theme=theme, glyphs=glyphs)


def run_home(
    *,
    session_dir: Path | None = None,
    fps: float | None = None,
    theme: str | None = None,
    glyphs: Mode | None = None,
) -> Path | None:
    """The home screen; returns the session of the last run that was started or followed from it."""
    return run(Home(session_dir=session_dir), fps=fps, theme=theme, glyphs=glyphs)


def run(first: Show, *, fps: float | None, theme: str | None, glyphs: Mode | None) -> Path | None:
    """Shows `first` until it is left. A terminal that went away ends the process with 129."""
    can, own = capabilities(), settings.load_settings()
    theme = theme or own.theme
    options = Options(
        theme,
        glyphs or own.glyphs or can.glyphs,
        fps or own.fps or can.fps,
        (*own.problems, *themes.problems(theme)),
    )
    app = TxtopApp(first, options)
    TerminalDriver.on_lost = app.lost
    with Guard(app.lost, app.interrupt) as guard:
        app.guard = guard
        path = app.run()
        app.show.close(1.0)
    if guard.lost:
        detach()
        raise SystemExit(HANGUP_STATUS)
    if app.error is not None:
        raise app.error
    return path
