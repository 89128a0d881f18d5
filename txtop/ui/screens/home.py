"""The home screen: this machine live, the sessions to open, and the ways to start a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size

from txtop.errors import TxtopError
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame, measure_subtitle_room
from txtop.ui.drawing.glyphs import get_glyphs
from txtop.ui.drawing.line_widget import Ground, LineWidget
from txtop.ui.drawing.scrolling import center_row
from txtop.ui.drawing.spans import Row
from txtop.ui.keymap import KeyHints, build_bindings, build_footer_keys
from txtop.ui.messages import AskSource, OpenScreen
from txtop.ui.models.layout import MIN_HOME_MACHINE_ROWS, PanelLayout, arrange_home
from txtop.ui.models.session_list import SessionList
from txtop.ui.modes import HomeMode, LiveMode, ReplayMode, SideBySideMode
from txtop.ui.panels import home_parts, start_menu
from txtop.ui.panels.footer import FooterRow
from txtop.ui.screens.panel_screen import PanelScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from txtop.options.presets import Preset
    from txtop.ui.models.ab_choices import ABModel
    from txtop.ui.models.home import HomeFrame, ListedSession, StartFacts
    from txtop.ui.models.matrix_choices import MatrixChoices
    from txtop.ui.text_input import TextInput

FAR = 1_000_000
START_ACTIONS = {"r": "run_quick", "a": "choose_ab", "b": "build_matrix", "d": "tune"}
CURSOR_MOVES = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -FAR, "end": FAR}


class HomeWidget(LineWidget):
    """A part of the home screen; `frame` is the newest it was given."""

    frame: HomeFrame | None = None

    def take(self, frame: HomeFrame) -> None:
        self.frame = frame
        self.tick()


class HomeFramedWidget(HomeWidget):
    """A part that stands on the ground of a panel where it has a frame."""

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"


class HomePanel(HomeFramedWidget):
    """Rows under a heading rule, or in a rounded frame on a large screen."""

    heading = ""

    def subtitle(self, body: list[Row], area: Area, width: int) -> str:
        """Return the text, of at most `width` columns, at the right of the heading of `body`."""
        return ""

    def rows(self, width: int, height: int) -> list[Row]:
        """Build the rows inside, at most `height` of `width` columns."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        area = self.area(width, height)
        inside = area.inside
        body = self.rows(inside.width, inside.height)
        text = self.subtitle(body, inside, measure_subtitle_room(self.heading, area))
        note: Row = [(text, "muted")] if text else []
        return draw_frame(self.heading, note, body, area)


class HomeHeader(HomeWidget):
    """The name, the machine and the version."""

    def build(self, width: int, height: int) -> list[Row]:
        return [home_parts.render_heading(self.frame.title if self.frame else "", width)]


class HomeMachinePanel(HomeFramedWidget):
    """This machine, live."""

    def build(self, width: int, height: int) -> list[Row]:
        area = self.area(width, height)
        if self.frame is None:
            return home_parts.render_empty_machine(area)
        # Imported late: the screen is drawn before what readings are made of is loaded.
        from txtop.ui.panels.machine import render_machine

        rows = render_machine(self.frame.machine, area, self.frame.machine_detail)
        if self.frame.problem:
            rows[1:2] = [[(f" {self.frame.problem}", "warn")]]
        return rows


class SessionListPanel(HomePanel):
    """The sessions: running ones first, then the recent ones, then those that came with txtop."""

    heading = home_parts.SESSIONS

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.list = SessionList()
        self.text_input: TextInput | None = None

    @property
    def listed(self) -> tuple[ListedSession, ...]:
        return self.list.matching

    @property
    def at(self) -> int:
        return self.list.at

    def take(self, frame: HomeFrame) -> None:
        if frame.sessions is not None:
            self.list.take(frame.sessions)
        super().take(frame)

    def changed(self) -> None:
        """Draw the list after a person changed it, and the footer with it."""
        self.tick()
        self.screen.query_one(HomeFooter).tick()

    def subtitle(self, body: list[Row], area: Area, width: int) -> str:
        if not self.list.listed:
            return ""
        running = sum(item.stage == "running" for item in self.list.listed)
        parts = [f"{running} running"] if running else []
        recorded = (self.frame.recorded if self.frame else None) or 0
        own = sum(not item.bundled for item in self.list.listed)
        parts += [f"the newest {own} of {recorded}"] if own < recorded and own else []
        # Imported late, as below.
        from txtop.ui.panels.session_list import render_list_legend

        text = "   ".join(parts)
        room = width - (len(text) + 3 if text else 0)
        legend = render_list_legend(self.list, self.typing, body, area, room)
        return "   ".join(filter(None, (legend, text)))

    def rows(self, width: int, height: int) -> list[Row]:
        if self.frame is None or self.frame.sessions is None:
            return home_parts.render_scanning()
        # Imported late, like what draws the machine.
        from txtop.ui.panels.session_list import render_session_list

        return render_session_list(
            self.list, self.typing, self.frame.now_s, self.area(width, height)
        )

    @property
    def typing(self) -> bool:
        """True while a filter is being typed."""
        return self.text_input is not None

    def begin_typing(self) -> None:
        """Open the line for the text that filters the sessions."""
        from txtop.ui.text_input import TextInput

        if self.text_input is None:
            self.text_input = TextInput(
                self.list.words,
                "words of a name, a model, a precision",
                on_change=self._filter,
                on_done=self._end_typing,
            )
            self._place_input()
            self.mount(self.text_input)
        self.screen.set_focus(self.text_input, scroll_visible=False)
        self.changed()

    def _place_input(self) -> None:
        if self.text_input is not None:
            width = self.area(*self.size).inside.width
            self.text_input.place(4 if self.boxed else 3, 1, width - 2, boxed=self.boxed)

    def on_resize(self, event: events.Resize) -> None:
        self._place_input()

    def _filter(self, text: str) -> None:
        self.list.find(text)
        self.changed()

    def _end_typing(self, keep: bool) -> None:
        """Close the line: `enter` keeps what matches, `esc` shows all again."""
        if self.text_input is not None:
            self.screen.set_focus(None)
            self.text_input.close()
            self.text_input = None
        if not keep:
            self.list.find("")
        self.changed()

    async def on_click(self, event: events.Click) -> None:
        """Select the session under the mouse, or open it if it is selected."""
        from txtop.ui.panels import session_list

        area = self.area(*self.size).inside
        room = session_list.count_visible_sessions(self.list, self.typing, area)
        line = event.y - 1 - len(session_list.render_list_top(self.list, self.typing, area))
        at = center_row(self.at, len(self.listed), room) + line
        if not 0 <= line < room or at >= len(self.listed):
            return
        selected = at == self.at
        self.list.move(at - self.at)
        self.changed()
        if selected:
            await self.run_action("screen.open")


class StartMenuPanel(HomePanel):
    """The keys that start a run."""

    heading = home_parts.START

    def rows(self, width: int, height: int) -> list[Row]:
        return start_menu.render_start_menu(self.quick, self.area(width, height), self.starts)

    @property
    def quick(self) -> Preset | None:
        return self.frame.quick if self.frame else None

    @property
    def starts(self) -> StartFacts | None:
        return self.frame.starts if self.frame else None

    async def on_click(self, event: events.Click) -> None:
        """Run the command of the key under the mouse."""
        area = self.area(*self.size).inside
        key = start_menu.find_start_key(event.y - 1, self.quick, area, self.starts)
        if key:
            await self.run_action(f"screen.{START_ACTIONS[key]}")


class FindingsLine(HomeWidget):
    """The findings of the doctor about this machine."""

    def build(self, width: int, height: int) -> list[Row]:
        findings = self.frame.findings if self.frame else None
        return [start_menu.render_findings(findings, width, get_glyphs())]


class HomeFooter(HomeWidget, FooterRow):
    """The keys of the home screen; those that do not fit are in the help."""

    def keys_now(self) -> KeyHints:
        panel = self.screen.query_one(SessionListPanel)
        selected = panel.list.selected
        return build_footer_keys(
            "home",
            resumable=selected is not None and selected.resumable,
            marked=len(panel.list.marked),
            typing=panel.typing,
        )


class HomeScreen(PanelScreen["HomeFrame"]):
    """The first screen: everything that can be opened or started."""

    kind = "home"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("home")

    def __init__(self, mode: HomeMode) -> None:
        super().__init__()
        self.mode = mode
        self._small_rows, self._has_gpus = MIN_HOME_MACHINE_ROWS, False
        self._choices: MatrixChoices | None = None

    def compose(self) -> ComposeResult:
        yield HomeHeader(id="heading")
        yield HomeMachinePanel(id="machine")
        yield SessionListPanel(id="sessions")
        yield StartMenuPanel(id="start")
        yield FindingsLine(id="findings")
        yield HomeFooter(id="footer")

    def show(self, frame: HomeFrame) -> None:
        """Draw what is new in `frame`."""
        # Imported late, like what draws the machine.
        from txtop.ui.panels.machine import compute_small_height

        self._small_rows = compute_small_height(frame.machine)
        self._has_gpus = bool(frame.machine.gpus)
        self._fit()
        for widget in self.query(HomeWidget):
            widget.take(frame)
        if frame.reading:
            # The next frame at once: outcomes come as fast as they can be drawn.
            self.post_message(AskSource(lambda _machine: None))

    def on_resize(self) -> None:
        self._fit()

    def arrange_panels(self, size: Size) -> PanelLayout:
        return arrange_home(*size, small=self._small_rows, gpus=self._has_gpus)

    def _fit(self) -> None:
        """Place the parts again where the machine needs other rows than it has."""
        places = self.arrange_panels(self.app.size).places
        for part in self.query(HomeWidget):
            part.display = part.id in places
        if self.query_one(HomeMachinePanel).size.height != places["machine"].height:
            self.refresh(layout=True)

    @property
    def sessions(self) -> SessionListPanel:
        return self.query_one(SessionListPanel)

    @property
    def selected(self) -> ListedSession | None:
        """The session that `enter` opens."""
        return self.sessions.list.selected

    def back(self) -> bool:
        """Show all sessions again, then take the marks away; False when there is neither."""
        sessions = self.sessions.list
        if not sessions.words and not sessions.marked:
            return False
        if sessions.words:
            sessions.find("")
        else:
            sessions.marked = []
        self.sessions.changed()
        return True

    # Sessions

    def action_open(self) -> None:
        """Open the selected session: follow it while it runs, else replay it."""
        session = self.selected
        if session is None:
            self.say("no session is selected")
        elif session.stage == "unreadable":
            self.say(f"{session.label} cannot be read: {session.models}")
        elif session.stage == "running":
            self.switch_mode(LiveMode(path=session.path))
        else:
            self.switch_mode(ReplayMode(session.path))

    def action_finish(self) -> None:
        """Resume the selected session where it was interrupted."""
        session = self.selected
        if session is None:
            return
        if session.resumable:
            self.switch_mode(LiveMode(path=session.path, resumes=True))
        else:
            self.say(f"{session.label} was not interrupted")

    def action_mark(self) -> None:
        """Toggle the mark of the selected session."""
        self.sessions.list.mark()
        self.sessions.changed()

    def action_compare(self) -> None:
        """Show the two marked sessions side by side."""
        pair = self.sessions.list.pair()
        if isinstance(pair, str):
            self.say(pair)
        else:
            self.switch_mode(SideBySideMode(pair[0].path, pair[1].path))

    def action_filter_sessions(self) -> None:
        self.sessions.begin_typing()

    # Runs

    def action_run_quick(self) -> None:
        self.switch_mode(self.mode.quick())

    def _list_models(self) -> Sequence[ABModel]:
        """List the models to choose from; that of the selected session comes first."""
        # Imported late: the home screen is drawn before models are looked for.
        from txtop.ui.models.ab_choices import list_ab_models

        selected = [self.selected] if self.selected is not None else []
        recent = [*selected, *(item for item in self.sessions.list.listed if not item.bundled)]
        return list_ab_models(filter(None, (item.first_model for item in recent)))

    def _start(self, build: Callable[[], LiveMode]) -> None:
        try:
            self.switch_mode(build())
        except TxtopError as error:
            self.say(str(error), "error")

    def action_choose_ab(self) -> None:
        """Ask for a model and two precisions."""
        from txtop.ui.screens.ab_dialog import ABAnswer, ABDialog

        def start(answer: ABAnswer | None) -> None:
            if answer is not None:
                self._start(lambda: self.mode.start_ab(*answer))

        self.app.push_screen(ABDialog(self._list_models()), start)

    def action_tune(self) -> None:
        """Ask for the model whose configurations are raced."""
        from txtop.ui.screens.ab_dialog import ABAnswer, TuneDialog

        def start(answer: ABAnswer | None) -> None:
            if answer is not None:
                self._start(lambda: self.mode.start_tune(answer[0], self.say))

        self.app.push_screen(TuneDialog(self._list_models()), start)

    def action_build_matrix(self) -> None:
        """Open the matrix builder with what was chosen there last."""
        # Imported late: the home screen is drawn before the forecast is loaded.
        from txtop.ui.models.matrix_choices import MatrixChoices
        from txtop.ui.screens.matrix import MatrixScreen

        self._choices = self._choices or MatrixChoices()
        self.post_message(OpenScreen(MatrixScreen(self.mode, self._choices)))
        self.post_message(AskSource(lambda machine: machine.load_history()))

    # Keys and the wheel

    @property
    def text_input(self) -> TextInput | None:
        return self.sessions.text_input

    async def on_key(self, event: events.Key) -> None:
        if self.text_input is not None and await self.text_input.take(event):
            return
        if event.key in ("space", "slash"):
            # A binding is run by the application, after the keys that were typed ahead.
            event.stop()
            event.prevent_default()
            self.action_mark() if event.key == "space" else self.action_filter_sessions()
        elif event.key in CURSOR_MOVES or event.key in ("j", "k"):
            self._move({"k": -1, "j": 1}.get(event.key) or CURSOR_MOVES[event.key])

    def _move(self, by: int) -> None:
        self.sessions.list.move(by)
        self.sessions.changed()

    def on_mouse_scroll_up(self) -> None:
        self._move(-1)

    def on_mouse_scroll_down(self) -> None:
        self._move(1)
