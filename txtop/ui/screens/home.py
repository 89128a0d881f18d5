"""Home: this machine live, the sessions to attach to or replay, and how to start a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen

from txtop import __version__
from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import current, glyph
from txtop.ui.drawing.line_widget import Ground, Lines, Row
from txtop.ui.drawing.spans import ends
from txtop.ui.keymap import footer_keys
from txtop.ui.models.layout import CARD_BELOW, is_boxed
from txtop.ui.models.machine import Machine
from txtop.ui.models.session_list import SessionList
from txtop.ui.panels import session_list, start_menu
from txtop.ui.panels.bars import Keys
from txtop.ui.panels.key_row import KeyRow
from txtop.ui.panels.machine import machine, small_height
from txtop.ui.typed import Typed

if TYPE_CHECKING:
    from txtop.ui.models.home import HomeFrame, Listed

FAR = 1_000_000
START_KEYS = {"r": "run_quick", "a": "choose_ab", "b": "build_matrix"}
MOVES = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -FAR, "end": FAR}


class HomeLines(Lines):
    """One line at the top or the bottom; `frame` is what it shows."""

    frame: HomeFrame | None = None

    def take(self, frame: HomeFrame) -> None:
        self.frame = frame
        self.tick()


class Grounded(HomeLines):
    """On the ground of a panel where it has a frame."""

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"


class HomePanel(Grounded):
    """Rows under a heading rule, or in a rounded frame where the screen is big."""

    heading = ""

    def subtitle(self) -> str:
        """What changes, at the right of the heading."""
        return ""

    def rows(self, width: int, height: int) -> list[Row]:
        """What stands inside, at most `height` rows of `width` columns."""
        raise NotImplementedError

    def build(self, width: int, height: int) -> list[Row]:
        body = self.rows(*inside(width, height, self.boxed))
        said: Row = [(self.subtitle(), "muted")] if self.subtitle() else []
        return framed(self.heading, said, body, width, height, current(), boxed=self.boxed)


class Heading(HomeLines):
    """Who this is, and which machine."""

    def build(self, width: int, height: int) -> list[Row]:
        machine = self.frame.title if self.frame else ""
        left: Row = [(" txtop", "accent-a.bold"), (f"  {machine}", "muted")]
        return [ends(left, [(f"{__version__} ", "muted")], width)]


class MachinePanel(Grounded):
    """This machine, live."""

    def build(self, width: int, height: int) -> list[Row]:
        shown = self.frame.machine if self.frame else Machine()
        rows = machine(shown, width, height, current(), boxed=self.boxed)
        if self.frame and self.frame.problem:
            rows[1:2] = [[(f" {self.frame.problem}", "warn")]]
        return rows


class Sessions(HomePanel):
    """Running sessions first, then the recent ones, then those that came with txtop."""

    heading = "sessions"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.list = SessionList()
        self.typed: Typed | None = None

    @property
    def listed(self) -> tuple[Listed, ...]:
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
        self.screen.query_one(Footer).tick()

    def subtitle(self) -> str:
        running = sum(item.stage == "running" for item in self.list.listed)
        said = [f"{running} running"] if running else []
        recorded = (self.frame.recorded if self.frame else None) or 0
        own = sum(not item.bundled for item in self.list.listed)
        said += [f"the newest {own} of {recorded}"] if own < recorded and own else []
        return "   ".join(said)

    def rows(self, width: int, height: int) -> list[Row]:
        if self.frame is None or self.frame.sessions is None:
            return [[], [("looking for sessions" + glyph("…"), "muted")]]
        return session_list.sessions(
            self.list, self.typed, self.frame.now_s, width, height, current()
        )

    def type(self, event: events.Key) -> None:
        """A key while words are typed: `enter` keeps what was found, `esc` shows all again."""
        assert self.typed is not None
        if event.key in ("enter", "escape"):
            self.typed = None
            if event.key == "escape":
                self.list.find("")
        elif event.key in MOVES:
            self.list.move(MOVES[event.key])
        elif self.typed.take(event):
            self.list.find(self.typed.text)
        self.changed()

    async def on_click(self, event: events.Click) -> None:
        """Selects the session under the mouse; the selected one opens."""
        _, height = inside(self.size.width, self.size.height, self.boxed)
        room = session_list.room_for_lines(self.list, self.typed, height, current())
        line = event.y - 1 - len(session_list.above(self.list, self.typed, current()))
        at = session_list.first_line(self.list, room) + line
        if not 0 <= line < room or at >= len(self.listed):
            return
        chosen = at == self.at
        self.list.move(at - self.at)
        self.changed()
        if chosen:
            await self.run_action("app.open")


class Start(HomePanel):
    """How to start a run."""

    heading = "start"

    def rows(self, width: int, height: int) -> list[Row]:
        return start_menu.start(width, height, current())

    async def on_click(self, event: events.Click) -> None:
        """Does what the key under the mouse does."""
        room = inside(self.size.width, self.size.height, self.boxed)
        key = start_menu.key_at(event.y - 1, *room, current())
        if key:
            await self.run_action(f"app.{START_KEYS[key]}")


class Findings(HomeLines):
    """What the doctor found of this machine."""

    def build(self, width: int, height: int) -> list[Row]:
        found = self.frame.findings if self.frame else None
        return [start_menu.findings(found, width, current())]


class Footer(HomeLines, KeyRow):
    """What does not fit is in the help."""

    def keys_now(self) -> Keys:
        shown = self.screen.query_one(Sessions)
        chosen = shown.list.selected
        return footer_keys(
            "home",
            resumable=chosen is not None and chosen.resumable,
            marked=len(shown.list.marked),
            typing=shown.typed is not None,
        )


class HomeScreen(Screen[Any]):
    """The first screen. `enter` opens the selected session, `r` starts the quick preset."""

    _rows = 3

    def compose(self) -> ComposeResult:
        yield Heading(id="heading")
        yield MachinePanel(id="machine")
        with Horizontal(id="lower"):
            yield Sessions(id="sessions")
            yield Start(id="start")
        yield Findings(id="findings")
        yield Footer(id="footer")

    def show(self, frame: HomeFrame) -> None:
        """Draws what is new in `frame`."""
        self._rows = small_height(frame.machine)
        self._fit()
        for each in self.query(HomeLines):
            each.take(frame)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Gives the machine what it has to say, and a frame where there is room."""
        boxed = is_boxed(*self.app.size)
        self.query_one(MachinePanel).styles.height = self._rows + 3 if boxed else self._rows
        self.query_one(Start).display = self.app.size.width >= CARD_BELOW[0]
        self.query_one(Findings).display = self.app.size.height >= CARD_BELOW[1]

    @property
    def sessions(self) -> Sessions:
        return self.query_one(Sessions)

    @property
    def selected(self) -> Listed | None:
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
        self.sessions.typed = Typed(self.sessions.list.words)
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
        elif event.key in MOVES or event.key in ("j", "k"):
            self._move({"k": -1, "j": 1}.get(event.key) or MOVES[event.key])

    def _move(self, by: int) -> None:
        self.sessions.list.move(by)
        self.sessions.changed()

    def on_mouse_scroll_up(self) -> None:
        self._move(-1)

    def on_mouse_scroll_down(self) -> None:
        self._move(1)
