"""The application without its keys: one show at a time, its frames, and the ways out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.types import CSSPathType

from txtop.errors import TxtopError
from txtop.sanitise import sanitise
from txtop.ui.drawing import glyphs as signs
from txtop.ui.drawing import themes
from txtop.ui.drawing.glyphs import GlyphMode
from txtop.ui.frame_loop import FrameLoop
from txtop.ui.keymap import ScreenKind, build_footer_keys
from txtop.ui.modes import AppMode, HomeMode, LiveMode, ReplayMode, SideBySideMode, to_txtop_error
from txtop.ui.terminal.capabilities import FPS, TerminalGuard
from txtop.ui.terminal.driver import TerminalDriver
from txtop.ui.terminal.partial_update import narrow_update

if TYPE_CHECKING:
    from rich.console import RenderableType

    from txtop.ui.screens.home import HomeScreen
    from txtop.ui.screens.live import LiveScreen
    from txtop.ui.screens.matrix import MatrixScreen
    from txtop.ui.screens.side_by_side import SideBySideScreen

MAX_PENDING_WRITES = 2
EXIT_TIMEOUT_S = 1.5
SETTLE_S = 0.05
FRAME_RETRY_S = 0.1


@dataclass(frozen=True)
class AppOptions:
    """How the screen is drawn; without a theme the first one. `problems` are said once."""

    theme: str | None = None
    glyphs: GlyphMode = "braille"
    fps: float = FPS
    problems: tuple[str, ...] = ()


class BaseApp(App[Path | None], inherit_bindings=False):
    """Shows `first` and carries frames from the pump to the screen; leaves when it is told to."""

    TITLE = "txtop"
    CSS_PATH: ClassVar[CSSPathType | None] = ["screens/home.tcss", "screens/live.tcss"]
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = ""
    ESCAPE_TO_MINIMIZE = False
    NOTIFICATION_TIMEOUT = 4
    CSS = """
    ToastRack { margin: 0 0 1 0; }
    Toast {
        width: auto; max-width: 78; margin: 0; padding: 0 1; border: none;
        background: $panel; color: $foreground;
    }
    Toast.-warning { color: $text-warning; }
    Toast.-error { color: $text-error; }
    Dialog:ansi { background: ansi_default; }
    """

    class FrameReady(Message):
        """A frame lies in the pump's slot."""

    class Failed(Message):
        """The pump ended with an error."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    class Say(Message):
        """A line for a person, from any thread."""

        def __init__(self, text: str, severity: SeverityLevel = "information") -> None:
            super().__init__()
            self.text = text
            self.severity = severity

    class Leave(Message):
        """Go now, without a question."""

    def __init__(self, first: AppMode, options: AppOptions) -> None:
        # With NO_COLOR Textual would turn the terminal's own background into black.
        plain = True if "NO_COLOR" in os.environ else None
        super().__init__(driver_class=TerminalDriver, ansi_color=plain)
        self._root: Any = None
        self._settling = True
        self._gone = False
        self._resized: Timer | None = None
        self._keys: tuple[tuple[str, str], ...] = ()
        self.animation_level = "none"
        self.options = options
        self.show = first
        self.guard: TerminalGuard | None = None
        self.error: TxtopError | None = None
        self.interrupts = 0
        self._home = first if isinstance(first, HomeMode) else None
        self._builder: MatrixScreen | None = None
        self._pump: FrameLoop[Any, Any] | None = None
        self._ran: Path | None = None
        signs.set_glyphs(options.glyphs)
        themes.install_themes(self, options.theme)

    # What is on the screen

    @property
    def where(self) -> ScreenKind:
        return "matrix" if self._builder is not None else self.show.where

    def get_default_screen(self) -> Screen[Any]:
        self._root = screen = self._screen_of(self.show)
        return screen

    def _screen_of(self, show: AppMode) -> HomeScreen | LiveScreen | SideBySideScreen:
        """Imported as they are needed: the home screen paints before the rest is loaded."""
        if isinstance(show, HomeMode):
            from txtop.ui.screens.home import HomeScreen

            return HomeScreen()
        if isinstance(show, SideBySideMode):
            from txtop.ui.screens.side_by_side import SideBySideScreen

            return SideBySideScreen(self._footer())
        from txtop.ui.screens.live import LiveScreen

        return LiveScreen("live" if isinstance(show, LiveMode) else "replay", self._footer())

    def _footer(self, panel: str = "", *, typing: bool = False) -> tuple[tuple[str, str], ...]:
        show = self.show
        return build_footer_keys(
            show.where,
            panel=panel,
            typing=typing,
            paused=not isinstance(show, HomeMode) and show.paused,
            over=isinstance(show, LiveMode) and show.over,
            back=self._home is not None,
            arms=show.arms if isinstance(show, LiveMode | ReplayMode) else 0,
            cell=("open" if show.opened else "shut")
            if isinstance(show, LiveMode | ReplayMode)
            else "",
        )

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What Textual's own styles ask of a theme that draws with the terminal's colours."""
        return {"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"}

    def on_mount(self) -> None:
        self._paint_once()
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        for line in self.options.problems:
            self.say(line, "warning")
        self._open()

    def _open(self) -> None:
        show = self.show
        if isinstance(show, LiveMode):
            show.refused = lambda action: self.say(f"no runner answers: {action} was not done")
        self._pump = FrameLoop(
            show.open,
            show.build,
            wake=self._frame_ready,
            fail=self._failed,
            fps=self.options.fps,
            late=lambda frame: frame.late,
        )
        self._pump.start()

    def _paint_once(self) -> None:
        """Textual paints a new screen up to five times while it settles: only the last is sent."""

        def settled() -> None:
            self._settling = False
            self._show_starting()
            self.refresh()

        self._settling = True
        self.set_timer(SETTLE_S, settled)

    def on_resize(self) -> None:
        """Once sizes stop coming, all is sent again.

        Textual leaves out a size that it has already; of a storm only the last one may be seen, and
        the terminal has lost its picture to those before.
        """

        def paint() -> None:
            if self.screen_stack:
                self.screen.refresh()

        if self._resized is not None:
            self._resized.stop()
        self._resized = self.set_timer(SETTLE_S, paint)

    def _show_starting(self) -> None:
        """Until a new run has its log there is no frame: says what it waits for."""
        if isinstance(self.show, LiveMode) and self.show.path is None:
            from txtop.ui.models.hero import HeroView
            from txtop.ui.models.view import View

            self._root.show(
                View(hero=HeroView(word="starting", why="the runner, in a process apart"))
            )

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if not self._settling:
            super()._display(screen, narrow_update(renderable))

    def _frame_ready(self) -> None:
        self.post_message(self.FrameReady())

    def _failed(self, error: Exception) -> None:
        self.post_message(self.Failed(error))

    def _switch(self, show: AppMode) -> None:
        """From home to a session on top of it, or back to home."""
        self._close()
        self.show = show
        self._paint_once()
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._root = self.screen_stack[0]
        self._builder = None
        if show is not self._home:
            self._root = self._screen_of(show)
            self.push_screen(self._root)
        self._open()

    def _close(self) -> None:
        if self._pump is not None:
            self._pump.close()
        if isinstance(self.show, LiveMode):
            self._ran = self.show.path or self._ran
        self.show.close()

    def on_base_app_frame_ready(self) -> None:
        """Shows the newest frame, unless the terminal has not taken the ones before.

        Nor under a dialog: a screen that changes there is sent whole, every time.
        """
        if self.interrupts and isinstance(self.show, LiveMode) and not self.show.going:
            self.leave()
            return
        if not self.screen_stack:
            # Asked again later under a dialog, and the application ended meanwhile.
            return
        driver = self._driver
        behind = isinstance(driver, TerminalDriver) and driver.backlog > MAX_PENDING_WRITES
        if behind or isinstance(self.screen, ModalScreen):
            self.set_timer(FRAME_RETRY_S, self.on_base_app_frame_ready)
            return
        frame = self._pump.take() if self._pump else None
        if frame is None:
            return
        with self.batch_update():
            self._root.show(frame)
            self.update_footer()

    def update_footer(self) -> None:
        """The last row says what is possible now."""
        if isinstance(self.show, HomeMode):
            return
        keys = self._footer(self._root.panel_now, typing=self._root.typing)
        if keys != self._keys:
            self._keys = keys
            self._root.set_footer(keys)

    def on_base_app_failed(self, event: Failed) -> None:
        error = to_txtop_error(event.error)
        if self._home is None or self.show is self._home:
            self.error = error
            self.leave()
            return
        self._switch(self._home)
        self.say(str(error), "error")

    # Messages to the person

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """A toast, from any thread; foreign text in it is shown as it is."""
        self.post_message(self.Say(text, severity))

    def on_base_app_say(self, event: Say) -> None:
        self.notify(sanitise(event.text, 300), severity=event.severity, markup=False)

    # Leaving

    def interrupt(self) -> None:
        """Once: stops the run after the step at hand. Twice, without a run, or on one that others
        started: leaves at once.

        Called for ctrl+c and, from the guard's thread, for SIGINT and SIGTERM, so it works even
        while the terminal takes no output.
        """
        self.interrupts += 1
        own = isinstance(self.show, LiveMode) and self.show.going and not self.show.attached
        if own and isinstance(self.show, LiveMode):
            self.show.send("stop")
        if own and self.interrupts == 1:
            self.say("stopping after the step at hand; ctrl+c again leaves at once", "warning")
            return
        self._leave_within()
        self.post_message(self.Leave())

    def lost(self) -> None:
        """The terminal is gone. From the guard's thread."""
        if self._gone:
            return
        self._gone = True
        if isinstance(self.show, LiveMode) and self.show.on_hangup == "stop":
            self.show.send("stop")
        if isinstance(self._driver, TerminalDriver):
            self._driver.stop_reading()
        self.post_message(self.Leave())

    def on_base_app_leave(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Ends the screen; what the run does after it was said before."""
        self._leave_within()
        if self._pump is not None:
            self._pump.close()
        ran = self.show.path if isinstance(self.show, LiveMode) else None
        self.exit(ran or self._ran)

    def _leave_within(self) -> None:
        if self.guard is not None:
            self.guard.leave_within(EXIT_TIMEOUT_S)
