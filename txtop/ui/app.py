"""The application: every key an action of this class, and the functions that start it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from txtop import formatting, settings
from txtop.ui import clipboard
from txtop.ui.drawing import themes
from txtop.ui.home_actions import HomeActions
from txtop.ui.keymap import build_bindings, find_commands, is_allowed
from txtop.ui.modes import HomeMode, LiveMode, ReplayMode, SideBySideMode
from txtop.ui.screens.dialogs import Choice, ChoiceDialog, GoToDialog, HelpDialog, QuitDialog
from txtop.ui.screenshot import save_screenshot
from txtop.ui.terminal.driver import TerminalDriver

if TYPE_CHECKING:
    from txtop.session.transport import Transport


class TxtopApp(HomeActions, inherit_bindings=False):
    """What may be asked of the screen. Returns the path of the last run that was on it."""

    BINDINGS: ClassVar[list[BindingType]] = list(build_bindings())

    def action_interrupt(self) -> None:
        self.interrupt()

    def action_leave(self) -> None:
        if isinstance(self.show, LiveMode) and self.show.going:
            self.push_screen(QuitDialog(), self._handle_quit_answer)
        else:
            self.leave()

    def _handle_quit_answer(self, answer: str | None) -> None:
        if answer == "leave":
            self.leave()
        elif answer == "stop":
            self.interrupt()

    async def action_back(self) -> None:
        """Out of a large panel, then to the home screen if there was one; the run goes on."""
        if self._open_detail("") or self._root.back():
            return
        if self._builder is not None:
            self._close_builder()
        elif self._home is not None and self.show is not self._home:
            self._switch(self._home)

    def action_suspend_process(self) -> None:
        self._suspend_signal()
        if isinstance(self._driver, TerminalDriver) and not self._driver.suspend_group():
            self.say("no shell is waiting behind this screen")

    # One cell

    def action_open_cell(self) -> None:
        if isinstance(self.show, LiveMode | ReplayMode):
            self._open_detail(self._root.at_cursor)

    def action_next_cell(self, direction: int) -> None:
        if isinstance(self.show, LiveMode | ReplayMode) and self.show.opened:
            self._open_detail(self._root.get_neighbour(direction))

    def _open_detail(self, name: str) -> bool:
        """Opens the detail of a cell, or shuts it where no name is given; False if all is so."""
        show = self.show
        if not isinstance(show, LiveMode | ReplayMode) or show.opened == name or self._pump is None:
            return False
        show.opened = name
        self._pump.ask(lambda _source: None)
        return True

    # The run

    def _ask_runner(self, action: str, done: str) -> None:
        if isinstance(self.show, LiveMode) and self.show.going:
            self.show.send(action)
            self.say(done)
        else:
            self.say("the run is over")

    def action_pause_run(self) -> None:
        if isinstance(self.show, LiveMode) and self.show.paused:
            self._ask_runner("resume", "going on")
        else:
            self._ask_runner("pause", "pausing after the step at hand")

    def action_skip_cell(self) -> None:
        ends = isinstance(self.show, LiveMode) and self.show.arms
        self._ask_runner("skip", "ending the A/B" if ends else "skipping this cell")

    def action_marker(self) -> None:
        self._ask_runner("marker", "marker set")

    # The recording

    def _transport(self, change: Callable[[Transport], object]) -> None:
        if self._pump is not None and isinstance(self.show, ReplayMode | SideBySideMode):
            self._pump.ask(change)

    def action_play(self) -> None:
        self._transport(lambda player: player.toggle())

    def action_step(self, direction: int) -> None:
        self._transport(lambda player: player.step(direction))

    def action_step_cell(self, direction: int) -> None:
        self._transport(lambda player: player.step_cell(direction))

    def action_step_marker(self, direction: int) -> None:
        self._transport(lambda player: player.step_marker(direction))

    def action_reverse(self) -> None:
        self._transport(lambda player: player.reverse())

    def action_idle(self) -> None:
        self._transport(lambda player: player.toggle_idle())

    def action_speed(self, direction: int) -> None:
        self._transport(lambda p: p.faster() if direction > 0 else p.slower())

    def action_go_start(self) -> None:
        self._transport(lambda player: player.seek(0))

    def action_go_end(self) -> None:
        self._transport(lambda player: player.seek(player.duration_ns))

    def action_go_to(self) -> None:
        if isinstance(self.show, ReplayMode | SideBySideMode) and self.show.player is not None:
            length = formatting.format_clock(self.show.player.duration_ns)
            self.push_screen(GoToDialog(length, self.show.player.find), self._go_to)

    def _go_to(self, at_ns: int | None) -> None:
        if at_ns is not None:
            self._transport(lambda player: player.seek(at_ns))

    # Everywhere

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the table allows on this kind of screen."""
        return is_allowed(action, self.where)

    def action_panel(self, number: int) -> None:
        if not isinstance(self.show, HomeMode):
            self._open_detail("")
            self._root.panel(number)

    def action_next_plot(self) -> None:
        """The next plot of the trade-offs; says why there is none."""
        if isinstance(self.show, LiveMode | ReplayMode) and (why := self._root.next_plot()):
            self.say(why)

    def action_next_arm(self) -> None:
        """Another comparison of an A/B of more than two arms."""
        if isinstance(self.show, LiveMode | ReplayMode) and self.show.arms > 2:
            self._root.next_arm()

    def action_filter(self) -> None:
        if not isinstance(self.show, HomeMode) and not self._root.filter():
            self.say("nothing to look for words in here")

    def action_order(self) -> None:
        if not isinstance(self.show, HomeMode) and not self._root.next_order():
            self.say("the cells have one order here")

    def action_severity(self) -> None:
        if not isinstance(self.show, HomeMode) and not self._root.next_severity():
            self.say("there is no log here")

    def action_copy(self) -> None:
        """What is chosen; else the summary of the session, which is read for it."""
        chosen = None if isinstance(self.show, HomeMode) else self._root.chosen()
        if chosen is not None:
            clipboard.copy_lines(self, *chosen)
        elif paths := self.show.paths:
            self.run_worker(lambda: clipboard.copy_summary(self, paths), thread=True)
        else:
            self.say("there is no session yet")

    def action_help(self) -> None:
        self.push_screen(HelpDialog(self.where))

    def action_commands(self) -> None:
        def find(typed: str) -> list[Choice]:
            return [Choice(c.action, c.title, c.shown) for c in find_commands(self.where, typed)]

        self.push_screen(ChoiceDialog("commands", find), self._command)

    async def _command(self, action: str | None) -> None:
        if action is not None:
            await self.run_action(f"app.{action}")

    def action_next_theme(self) -> None:
        names = themes.list_themes()
        at = names.index(self.theme) if self.theme in names else -1
        self._use_theme(names[(at + 1) % len(names)])

    def action_choose_theme(self) -> None:
        before = self.theme

        def find(typed: str) -> list[Choice]:
            return [
                Choice(name, name) for name in themes.list_themes() if typed.lower() in name.lower()
            ]

        def chosen(name: str | None) -> None:
            self._use_theme(name) if name else themes.use_theme(self, before)

        dialog = ChoiceDialog("theme", find, selected=before, on_move=self._preview)
        self.push_screen(dialog, chosen)

    def _preview(self, name: str) -> None:
        themes.use_theme(self, name)

    def _use_theme(self, name: str) -> None:
        themes.use_theme(self, name)
        kept = settings.save_theme(name)
        self.say(f"theme {name}" + ("" if kept else "; it could not be remembered"))

    def action_picture(self) -> None:
        svg = self.export_screenshot(title="txtop")
        path = save_screenshot(svg)
        if path is None:
            self.say("no folder to write a picture in", "error")
        else:
            self.say(f"picture saved: {path}")
