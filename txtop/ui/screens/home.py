"""Home: this machine live, the sessions to attach to or replay, and how to start a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen

from txtop import __version__
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import adapt_text, get_glyphs
from txtop.ui.drawing.line_widget import Ground, LineWidget
from txtop.ui.drawing.spans import Row, join_ends
from txtop.ui.keymap import build_footer_keys
from txtop.ui.models.layout import COMPACT_BELOW, is_boxed
from txtop.ui.models.machine import MachineView
from txtop.ui.models.session_list import SessionList
from txtop.ui.panels import session_list, start_menu
from txtop.ui.panels.base import KeyHints
from txtop.ui.panels.footer import FooterRow
from txtop.ui.panels.machine import compute_small_height, render_machine
from txtop.ui.typed import LineInput

if TYPE_CHECKING:
    from txtop.ui.models.home import HomeFrame, ListedSession

FAR = 1_000_000
START_ACTIONS = {"r": "run_quick", "a": "choose_ab", "b": "build_matrix"}
CURSOR_MOVES = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -FAR, "end": FAR}


class HomeWidget(LineWidget):
    """One line at the top or the bottom; `frame` is what it shows."""

    frame: HomeFrame | None = None

    def take(self, frame: HomeFrame) -> None:
        self.frame = frame
        self.tick()


class HomeFramedWidget(HomeWidget):
    """On the ground of a panel where it has a frame."""

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"


class HomePanel(HomeFramedWidget):
    """Rows under a heading rule, or in a rounded frame where the screen is big."""

    heading = ""

    def subtitle(self) -> str:
        """What changes, at the right of the heading."""
        return ""

    def rows(self, width: int, height: int) -> list[Row]:
        """What stands inside, at most `height` rows of `width` columns."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        body = self.rows(*compute_inner_size(width, height, self.boxed))
        said: Row = [(self.subtitle(), "muted")] if self.subtitle() else []
        return draw_frame(self.heading, said, body, width, height, get_glyphs(), boxed=self.boxed)


class HomeHeader(HomeWidget):
    """Who this is, and which machine."""

    def build(self, width: int, height: int) -> list[Row]:
        machine = self.frame.title if self.frame else ""
        left: Row = [(" txtop", "accent-a.bold"), (f"  {machine}", "muted")]
        return [join_ends(left, [(f"{__version__} ", "muted")], width)]


class HomeMachinePanel(HomeFramedWidget):
    """This machine, live."""

    def build(self, width: int, height: int) -> list[Row]:
        shown = self.frame.machine if self.frame else MachineView()
        rows = render_machine(shown, width, height, get_glyphs(), boxed=self.boxed)
        if self.frame and self.frame.problem:
            rows[1:2] = [[(f" {self.frame.problem}", "warn")]]
        return rows


class SessionListPanel(HomePanel):
    """Running sessions first, then the recent ones, then those that came with txtop."""

    heading = "sessions"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.list = SessionList()
        self.typed: LineInput | None = None

    @property
    def listed(self) -> tuple[ListedSession, ...]:
        return self.list.shown

    @property
    def at(self) -> int:
        return self.list.at

    def take(self, frame: HomeFrame) -> None:
        if frame.sessions is not None:
            self.list.take(frame.sessions)
        super().take(frame)

    def changed(self) -> None:
        """Draws what a person did to the list."""
        self.tick()
        self.screen.query_one(HomeFooter).tick()

    def subtitle(self) -> str:
        running = sum(item.stage == "running" for item in self.list.listed)
        said = [f"{running} running"] if running else []
        recorded = (self.frame.recorded if self.frame else None) or 0
        own = sum(not item.bundled for item in self.list.listed)
        said += [f"the newest {own} of {recorded}"] if own < recorded and own else []
        return "   ".join(said)

    def rows(self, width: int, height: int) -> list[Row]:
        if self.frame is None or self.frame.sessions is None:
            return [[], [("looking for sessions" + adapt_text("…"), "muted")]]
        return session_list.render_session_list(
            self.list, self.typed, self.frame.now_s, width, height, get_glyphs()
        )

    def type(self, event: events.Key) -> None:
        """A key while words are typed: `enter` keeps what was found, `esc` shows all again."""
        assert self.typed is not None
        if event.key in ("enter", "escape"):
            self.typed = None
            if event.key == "escape":
                self.list.find("")
        elif event.key in CURSOR_MOVES:
            self.list.move(CURSOR_MOVES[event.key])
        elif self.typed.take(event):
            self.list.find(self.typed.text)
        self.changed()

    async def on_click(self, event: events.Click) -> None:
        """Selects the session under the mouse; the selected one opens."""
        _, height = compute_inner_size(self.size.width, self.size.height, self.boxed)
        room = session_list.count_visible_sessions(self.list, self.typed, height, get_glyphs())
        line = event.y - 1 - len(session_list.render_list_top(self.list, self.typed, get_glyphs()))
        at = session_list.compute_first_session(self.list, room) + line
        if not 0 <= line < room or at >= len(self.listed):
            return
        chosen = at == self.at
        self.list.move(at - self.at)
        self.changed()
        if chosen:
            await self.run_action("app.open")


class StartMenuPanel(HomePanel):
    """How to start a run."""

    heading = "start"

    def rows(self, width: int, height: int) -> list[Row]:
        return start_menu.render_start_menu(width, height, get_glyphs())

    async def on_click(self, event: events.Click) -> None:
        """Does what the key under the mouse does."""
        room = compute_inner_size(self.size.width, self.size.height, self.boxed)
        key = start_menu.find_start_key(event.y - 1, *room, get_glyphs())
        if key:
            await self.run_action(f"app.{START_ACTIONS[key]}")


class FindingsLine(HomeWidget):
    """What the doctor found of this machine."""

    def build(self, width: int, height: int) -> list[Row]:
        found = self.frame.findings if self.frame else None
        return [start_menu.render_findings(found, width, get_glyphs())]


class HomeFooter(HomeWidget, FooterRow):
    """What does not fit is in the help."""

    def keys_now(self) -> KeyHints:
        shown = self.screen.query_one(SessionListPanel)
        chosen = shown.list.selected
        return build_footer_keys(
            "home",
            resumable=chosen is not None and chosen.resumable,
            marked=len(shown.list.marked),
            typing=shown.typed is not None,
        )


class HomeScreen(Screen[Any]):
    """The first screen. `enter` opens the selected session, `r` starts the quick preset."""

    _rows = 3

    def compose(self) -> ComposeResult:
        yield HomeHeader(id="heading")
        yield HomeMachinePanel(id="machine")
        with Horizontal(id="lower"):
            yield SessionListPanel(id="sessions")
            yield StartMenuPanel(id="start")
        yield FindingsLine(id="findings")
        yield HomeFooter(id="footer")

    def show(self, frame: HomeFrame) -> None:
        """Draws what is new in `frame`."""
        self._rows = compute_small_height(frame.machine)
        self._fit()
        for each in self.query(HomeWidget):
            each.take(frame)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Gives the machine what it has to say, and a frame where there is room."""
        boxed = is_boxed(*self.app.size)
        self.query_one(HomeMachinePanel).styles.height = self._rows + 3 if boxed else self._rows
        self.query_one(StartMenuPanel).display = self.app.size.width >= COMPACT_BELOW[0]
        self.query_one(FindingsLine).display = self.app.size.height >= COMPACT_BELOW[1]

    @property
    def sessions(self) -> SessionListPanel:
        return self.query_one(SessionListPanel)

    @property
    def selected(self) -> ListedSession | None:
        """The session that `enter` opens."""
        return self.sessions.list.selected

    def back(self) -> bool:
        """Shows all sessions again, then takes the marks away; False when there is neither."""
        shown = self.sessions.list
        if not shown.words and not shown.marked:
            return False
        if shown.words:
            shown.find("")
        else:
            shown.marked = []
        self.sessions.changed()
        return True

    def mark(self) -> None:
        """Marks the selected session, or no longer."""
        self.sessions.list.mark()
        self.sessions.changed()

    def find(self) -> None:
        """Opens the line for the words of a session."""
        self.sessions.typed = LineInput(self.sessions.list.words)
        self.sessions.changed()

    def on_key(self, event: events.Key) -> None:
        if self.sessions.typed is not None:
            event.stop()
            event.prevent_default()
            self.sessions.type(event)
        elif event.key in ("space", "slash"):
            # The application would do it after the keys that were typed ahead.
            event.stop()
            event.prevent_default()
            self.mark() if event.key == "space" else self.find()
        elif event.key in CURSOR_MOVES or event.key in ("j", "k"):
            self._move({"k": -1, "j": 1}.get(event.key) or CURSOR_MOVES[event.key])

    def _move(self, by: int) -> None:
        self.sessions.list.move(by)
        self.sessions.changed()

    def on_mouse_scroll_up(self) -> None:
        self._move(-1)

    def on_mouse_scroll_down(self) -> None:
        self._move(1)
