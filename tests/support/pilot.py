"""The application under a pilot: folders of its own, a made-up runner, a machine that is quiet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from support.screen_text import plain
from support.waiting import WAIT_S
from txtop.protocol.events import AnyEvent
from txtop.runner.control_protocol import RunnerStatus
from txtop.ui import home_source
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.keymap import KeyHints
from txtop.ui.modes import AppMode
from txtop.ui.screens.home import HomeScreen
from txtop.ui.screens.session_screen import SessionScreen
from txtop.ui.screens.single_session import SingleSessionScreen


class FakeRunner:
    """A runner that answers, and remembers the actions sent to it and their cells."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cells: list[str] = []
        self.write_error: str | None = None
        self.willing = True

    def status(self) -> RunnerStatus:
        return RunnerStatus(
            pid=1,
            state="running",
            last_seq=1,
            buffered_bytes=3 << 20,
            dropped=0,
            write_error=self.write_error,
            durability_lost=False,
            paused=False,
            heartbeat_ns=1,
        )

    def send(self, action: str, cell: str = "") -> bool:
        self.asked.append(action)
        self.cells.append(cell)
        return self.willing

    def tail(self, after: int) -> list[AnyEvent]:
        return []


@asynccontextmanager
async def opened(
    mode: AppMode, size: tuple[int, int] = (80, 24), fps: float = 20
) -> AsyncIterator[tuple[TxtopApp, Pilot[Path | None]]]:
    app = TxtopApp(mode, AppOptions(fps=fps))
    try:
        async with app.run_test(size=size) as pilot:
            yield app, pilot
    finally:
        # A pilot does not leave as a person does: the frames would go on beside all later tests.
        if app.frames is not None:
            app.frames.close()
        mode.close()


async def until(
    pilot: Pilot[Path | None], seen: Callable[[], bool], seconds: float = WAIT_S
) -> None:
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if seen():
            return
    raise AssertionError("never came")


def home_screen(app: TxtopApp) -> HomeScreen:
    """Return the home screen, which must be the current one."""
    assert isinstance(app.mode_screen, HomeScreen)
    return app.mode_screen


def session_screen(app: TxtopApp) -> SingleSessionScreen[Any]:
    """Return the screen of one session, which must be the current one."""
    assert isinstance(app.mode_screen, SingleSessionScreen)
    return app.mode_screen


def footer_keys(app: TxtopApp) -> KeyHints:
    """Return the keys of the last row and their actions."""
    assert isinstance(app.mode_screen, SessionScreen)
    return app.mode_screen.footer


def text(app: TxtopApp) -> str:
    """Return the picture as plain lines."""
    return "\n".join(plain(app))


class FakeMachine(home_source.HomeSource):
    """A machine without sampler and doctor; the sessions are real."""

    def __init__(self, session_dir: Path | None = None, **_how: object) -> None:
        super().__init__(session_dir, findings=())

    def _start(self, interval_s: float) -> None:
        self.problem = "no telemetry"
