"""The application: one mode at a time, its frames on its screen, and the ways out."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import actions
from textual.app import App
from textual.binding import BindingType
from textual.events import Key
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.types import CSSPathType

from txtop import settings
from txtop.errors import TxtopError
from txtop.sanitise import sanitise
from txtop.ui.drawing import themes
from txtop.ui.drawing.glyphs import GlyphMode, set_glyphs
from txtop.ui.fleet_mode import FleetMode
from txtop.ui.frame_loop import FrameLoop
from txtop.ui.keymap import CHANGING_ACTIONS, build_bindings, find_commands
from txtop.ui.messages import AskSource, OpenScreen, Say, SwitchMode
from txtop.ui.modes import AppMode, HomeMode, LiveMode, ReplayMode, SideBySideMode, to_txtop_error
from txtop.ui.screens.mode_screen import ModeScreen
from txtop.ui.terminal.capabilities import FPS, TerminalGuard
from txtop.ui.terminal.driver import TerminalDriver
from txtop.ui.terminal.partial_update import narrow_update
from txtop.ui.terminal.screenshot import save_screenshot

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.dom import DOMNode
    from textual.timer import TimerCallback

MAX_PENDING_WRITES = 2
EXIT_TIMEOUT_S = 1.5
# Between two looks whether a new screen has its sizes, and the most of them: on a terminal of a few
# cells a part may have none.
SETTLE_S, SETTLE_LOOKS = 0.003, 10
# Until a terminal has its last size.
RESIZE_S = 0.05
# Until a new screen has its sizes.
FRAME_RETRY_S = 0.1


@dataclass(frozen=True)
class AppOptions:
    """The look of the screen; without a theme the first one. `problems` are toasts at the start.

    One that is `view_only` changes neither a run, nor files, nor settings.
    """

    theme: str | None = None
    glyphs: GlyphMode = "braille"
    fps: float = FPS
    problems: tuple[str, ...] = ()
    view_only: bool = False


class TxtopApp(App[Path | None], inherit_bindings=False):
    """The application in the mode `first`. Returns the session of the last run that was on it."""

    TITLE = "txtop"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings(None)
    CSS_PATH: ClassVar[CSSPathType | None] = ["screens/live.tcss"]
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = ""
    ESCAPE_TO_MINIMIZE = False
    NOTIFICATION_TIMEOUT = 4
    CSS = """
    ToastRack { margin: 0 0 1 0; overflow-y: hidden; }
    HomeScreen ToastRack { margin: 0 0 2 0; }
    Toast {
        width: auto; max-width: 78; margin: 0; padding: 0 1; border: none;
        background: $panel; color: $foreground;
    }
    Toast.-warning { color: $text-warning; }
    Toast.-error { color: $text-error; }
    Dialog:ansi { background: ansi_default; }
    """

    class FrameReady(Message):
        """A frame lies in the slot of the frame loop."""

    class Failed(Message):
        """The frame loop ended with an error."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    class Leave(Message):
        """The request to leave now, without a question."""

    def __init__(self, first: AppMode, options: AppOptions) -> None:
        # With NO_COLOR Textual would turn the terminal's own background into black.
        plain = True if "NO_COLOR" in os.environ else None
        super().__init__(driver_class=TerminalDriver, ansi_color=plain)
        self.settling = True
        self._gone = False
        self._resized: Timer | None = None
        self.animation_level = "none"
        self.options = options
        self.mode = first
        self.guard: TerminalGuard | None = None
        self.error: TxtopError | None = None
        self.interrupts = 0
        self.frames: FrameLoop[Any, Any] | None = None
        self._under = first if isinstance(first, HomeMode | FleetMode) else None
        self._ran: Path | None = None
        set_glyphs(options.glyphs)
        themes.install_themes(self, options.theme)

    # The mode and its screen

    @property
    def has_screen(self) -> bool:
        """Return whether a screen is up; one that is being taken down has no panels."""
        return self.is_running and bool(self.screen_stack)

    @property
    def mode_screen(self) -> ModeScreen[Any]:
        """The screen that frames are drawn on: the uppermost one under the dialogs."""
        return next(s for s in reversed(self.screen_stack) if isinstance(s, ModeScreen))

    def get_default_screen(self) -> Screen[Any]:
        return self._build_screen(self.mode)

    def _build_screen(self, mode: AppMode) -> ModeScreen[Any]:
        """Build the screen of a mode.

        Each is imported as it is needed: the home screen is drawn before the rest is loaded.
        """
        back_to = ""
        if self._under is not None:
            back_to = "home" if isinstance(self._under, HomeMode) else "fleet"
        if isinstance(mode, LiveMode):
            from txtop.ui.screens.live import LiveScreen

            return LiveScreen(mode, back_to=back_to)
        if isinstance(mode, ReplayMode):
            from txtop.ui.screens.replay import ReplayScreen

            return ReplayScreen(mode, back_to=back_to)
        if isinstance(mode, SideBySideMode):
            from txtop.ui.screens.side_by_side import SideBySideScreen

            return SideBySideScreen(mode, back_to=back_to)
        if isinstance(mode, FleetMode):
            from txtop.ui.screens.fleet import FleetScreen

            return FleetScreen(mode)
        from txtop.ui.screens.home import HomeScreen

        assert isinstance(mode, HomeMode)
        return HomeScreen(mode)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the variables that Textual's own styles need in a theme of terminal colours."""
        own = ("ansi-background", "ansi-foreground", *(f"role-{role}" for role in themes.ROLES))
        return dict.fromkeys(own, "ansi_default")

    def on_mount(self) -> None:
        self._paint_once()
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        for line in self.options.problems:
            self.say(line, "warning")
        self._open()

    def _open(self) -> None:
        self.mode.refused = lambda action: self.say(f"runner not responding: {action} failed")
        self.frames = FrameLoop(
            self.mode.open,
            self.mode.build,
            wake=lambda: self.post_message(self.FrameReady()),
            fail=lambda error: self.post_message(self.Failed(error)),
            fps=self.options.fps,
            late=lambda frame: frame.late,
        )

    def _start_frames(self) -> None:
        """Start the frame loop, once the screen without a frame is drawn: its thread would take
        turns with that."""
        gc.enable()
        if self.frames is not None:
            self.frames.start()

    def _close(self) -> None:
        if self.frames is not None:
            self.frames.close()
        self._ran = self.mode.run_path or self._ran
        self.mode.close()

    def switch_to(self, mode: AppMode) -> None:
        """Switch from home, or from a fleet, to a session on top of it, or back."""
        self._close()
        self.mode = mode
        self._paint_once()
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if mode is not self._under:
            self.push_screen(self._build_screen(mode))
        self._open()

    def on_switch_mode(self, event: SwitchMode) -> None:
        if self.has_screen and event.screen is self.mode_screen:
            self.switch_to(event.mode)

    def on_go_back(self) -> None:
        if self._under is not None and self.mode is not self._under:
            self.switch_to(self._under)

    def on_open_screen(self, event: OpenScreen) -> None:
        # A key that was pressed twice opens one.
        if self.has_screen and type(event.screen) is not type(self.mode_screen):
            self._paint_once()
            self.push_screen(event.screen)

    # Frames

    def set_timer(
        self,
        delay: float,
        callback: TimerCallback | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        """Call once, after a delay, also where the process is held up for longer than that.

        Textual then takes the only call for one that was missed and may be skipped: the first
        picture, or all sizes after the one that its own timer was for, would never come.
        """
        timer = super().set_timer(delay, callback, name=name, pause=pause)
        timer._skip = False
        return timer

    def _paint_once(self) -> None:
        """Hold output until a new screen has settled: Textual paints it up to five times."""

        def settle(looks: int = 1) -> None:
            if looks < SETTLE_LOOKS and self.has_screen and not self.mode_screen.has_sizes:
                self.set_timer(SETTLE_S, lambda: settle(looks + 1))
                return
            self.settling = False
            if self.has_screen:
                self.mode_screen.show_starting()
                self.refresh()
                self.call_after_refresh(self._start_frames)

        self.settling = True
        self.set_timer(SETTLE_S, settle)

    def on_resize(self) -> None:
        """Send everything again once sizes stop coming.

        Textual leaves out a size that it has already; of a storm only the last one may be seen, and
        the terminal has lost its picture to those before.
        """

        def paint() -> None:
            if self.has_screen:
                self.screen.refresh()

        if self._resized is not None:
            self._resized.stop()
        self._resized = self.set_timer(RESIZE_S, paint)

    # `_display` is private to Textual; no public hook lies between a screen and the driver.
    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if not self.settling:
            super()._display(screen, narrow_update(renderable))

    def on_txtop_app_frame_ready(self) -> None:
        """Draw the newest frame, unless the terminal has not taken the ones before.

        Nor under a dialog, where a screen that changes is sent whole every time, nor on a screen
        that has no panels yet.
        """
        # A place of a fleet has no run here, but the fleet under it has.
        going = self.mode.going or (self._under is not None and self._under.going)
        if self.interrupts and not going:
            self.leave()
            return
        if not self.has_screen:
            # Asked again later under a dialog, or on its way as the application ended.
            return
        driver = self._driver
        behind = isinstance(driver, TerminalDriver) and driver.backlog > MAX_PENDING_WRITES
        if behind or isinstance(self.screen, ModalScreen) or not self.screen.is_mounted:
            self.set_timer(FRAME_RETRY_S, self.on_txtop_app_frame_ready)
            return
        frame = self.frames.take() if self.frames else None
        if frame is None:
            return
        with self.batch_update():
            self.mode_screen.show(frame)
            self.mode_screen.update_footer()

    def on_key(self, event: Key) -> None:
        """Hand a key that was typed before a dialog opened on to the dialog."""
        if isinstance(self.screen, ModalScreen):
            event.prevent_default()
            self.screen.post_message(Key(event.key, event.character))

    def on_ask_source(self, event: AskSource) -> None:
        if self.frames is not None:
            self.frames.ask(event.change)

    def on_txtop_app_failed(self, event: Failed) -> None:
        error = to_txtop_error(event.error)
        if self._under is None or self.mode is self._under:
            self.error = error
            self.leave()
            return
        self.switch_to(self._under)
        self.say(str(error), "error")

    # Toasts

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """Show a toast, from any thread; foreign text in it is shown as it is."""
        self.post_message(Say(text, severity))

    def on_say(self, event: Say) -> None:
        self.notify(sanitise(event.text, 300), severity=event.severity, markup=False)

    # Leaving

    def interrupt(self) -> None:
        """Stop the run after the current iteration.

        The second time, without a run, or on one that was started elsewhere, leave at once.

        Called for ctrl+c and, from the guard's thread, for SIGINT and SIGTERM, so it works even
        while the terminal takes no output.
        """
        self.interrupts += 1
        own = self.mode.going and not self.mode.attached
        if own:
            self.mode.send("stop")
        if own and self.interrupts == 1:
            self.say("stopping after this iteration; ctrl+c again quits now", "warning")
            return
        self._leave_within()
        self.post_message(self.Leave())

    def lost(self) -> None:
        """Leave because the terminal is gone. Called from the guard's thread."""
        if self._gone:
            return
        self._gone = True
        self.mode.hang_up()
        if isinstance(self._driver, TerminalDriver):
            self._driver.stop_reading()
        self.post_message(self.Leave())

    def on_txtop_app_leave(self) -> None:
        self.leave()

    def leave(self) -> None:
        """End the screen; a run goes on unless it was told to stop."""
        self._leave_within()
        if self.frames is not None:
            self.frames.close()
        self.exit(self.mode.run_path or self._ran)

    def _leave_within(self) -> None:
        if self.guard is not None:
            self.guard.leave_within(EXIT_TIMEOUT_S)

    def action_interrupt(self) -> None:
        self.interrupt()

    def action_leave(self) -> None:
        """Leave; while a run goes on, ask first."""

        def leave(answer: str | None) -> None:
            if answer == "leave":
                self.leave()
            elif answer == "stop":
                if self.mode.attached:
                    self.mode.send("stop")
                self.interrupt()

        if self.mode.going and not self.options.view_only:
            from txtop.ui.screens.dialogs import QuitDialog

            self.push_screen(QuitDialog(), leave)
        else:
            self.leave()

    def action_suspend_process(self) -> None:
        self._suspend_signal()
        if isinstance(self._driver, TerminalDriver) and not self._driver.suspend_group():
            self.say("no shell is waiting behind this screen")

    # Help, themes, screenshots

    async def run_action(
        self,
        action: str | actions.ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, unless it changes something on a screen that is `view_only`."""
        name = (actions.parse(action) if isinstance(action, str) else action)[1]
        if self.options.view_only and name in CHANGING_ACTIONS:
            self.say("view only: this screen changes nothing", "warning")
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def action_help(self) -> None:
        """Open the keys of the screen; from there the glossary, and back."""
        from txtop.ui.screens.help import HelpDialog

        self.push_screen(
            HelpDialog(self.mode_screen.kind), lambda to: self.action_glossary() if to else None
        )

    def action_glossary(self) -> None:
        """Open the words of the screens."""
        from txtop.ui.screens.help import GlossaryDialog

        self.push_screen(GlossaryDialog(), lambda to: self.action_help() if to else None)

    def action_commands(self) -> None:
        """Open the palette and run the command that is chosen there."""
        from txtop.ui.screens.dialogs import Choice, ChoiceDialog

        screen = self.mode_screen

        def find(typed: str) -> list[Choice]:
            return [Choice(c.action, c.title, c.sign) for c in find_commands(screen.kind, typed)]

        async def run(action: str | None) -> None:
            if action is not None:
                await self.run_action(action, screen)

        self.push_screen(ChoiceDialog("commands", find), run)

    def action_next_theme(self) -> None:
        names = themes.list_themes()
        at = names.index(self.theme) if self.theme in names else -1
        self._use_theme(names[(at + 1) % len(names)])

    def action_choose_theme(self) -> None:
        """Open the list of themes; the one under the cursor is previewed."""
        from txtop.ui.screens.dialogs import Choice, ChoiceDialog

        before = self.theme

        def find(typed: str) -> list[Choice]:
            return [
                Choice(name, name) for name in themes.list_themes() if typed.lower() in name.lower()
            ]

        def preview(name: str) -> None:
            themes.use_theme(self, name)

        def choose(name: str | None) -> None:
            self._use_theme(name) if name else preview(before)

        self.push_screen(ChoiceDialog("theme", find, selected=before, on_move=preview), choose)

    def _use_theme(self, name: str) -> None:
        themes.use_theme(self, name)
        if self.options.view_only:
            return
        kept = settings.save_theme(name)
        self.say(f"theme {name}" + ("" if kept else "; it could not be remembered"))

    def action_save_screenshot(self) -> None:
        svg = self.export_screenshot(title="txtop")
        path = save_screenshot(svg)
        if path is None:
            self.say("no folder to save a screenshot in", "error")
        else:
            self.say(f"screenshot saved: {path}")
