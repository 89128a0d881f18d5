"""Home: this machine live, the sessions to attach to or replay, and how to start a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen

from txtop import __version__
from txtop.ui.commands import footer_keys, pressed
from txtop.ui.devices import Machine
from txtop.ui.glyphs import current, glyph
from txtop.ui.layout import is_boxed
from txtop.ui.widgets.bars import footer, key_at
from txtop.ui.widgets.frame import framed, inside
from txtop.ui.widgets.lines import Ground, Lines, Row
from txtop.ui.widgets.machine import machine, small_height
from txtop.ui.widgets.rows import ends, fit

if TYPE_CHECKING:
    from txtop.ui.machine import HomeFrame, Listed

WHEN_WIDTH, CELLS_WIDTH = 7, 8
MARKS = {
    "running": ("●", "accent-a", "running"),
    "done": ("✓", "ok", ""),
    "stopped": ("·", "muted", "stopped"),
    "failed": ("✗", "bad", "failed"),
    "cut off": ("✗", "bad", "cut off"),
}


class HomeLines(Lines):
    """One line at the top or the bottom; `frame` is what it shows."""

    frame: HomeFrame | None = None

    @property
    def boxed(self) -> bool:
        """Whether this terminal has room for frames."""
        return is_boxed(*self.app.size)

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
    at = 0

    @property
    def listed(self) -> tuple[Listed, ...]:
        return (self.frame.sessions if self.frame else None) or ()

    @property
    def selected(self) -> Listed | None:
        return self.listed[self.at] if self.at < len(self.listed) else None

    def move(self, by: int) -> None:
        self.at = min(max(0, self.at + by), max(0, len(self.listed) - 1))
        self.tick()
        self.screen.query_one(Footer).tick()

    def _first(self, room: int) -> int:
        return max(0, min(self.at - room // 2, len(self.listed) - room))

    def subtitle(self) -> str:
        running = sum(item.stage == "running" for item in self.listed)
        return f"{running} running" if running else ""

    def rows(self, width: int, height: int) -> list[Row]:
        if self.frame is None or self.frame.sessions is None:
            return [[], [("  looking for sessions" + glyph("…"), "muted")]]
        rows: list[Row] = []
        if all(item.bundled for item in self.listed):
            rows = [
                [("no session yet: press ", "text"), ("r", "accent-a"), (" for the quick", "text")],
                [("preset, about a minute", "text")],
                [],
            ]
        room = max(1, height - len(rows))
        first = self._first(room)
        for i, item in enumerate(self.listed[first : first + room], start=first):
            rows.append(self._line(item, width, i == self.at))
        return rows

    async def on_click(self, event: events.Click) -> None:
        """Selects the session under the mouse; the selected one opens."""
        _, height = inside(self.size.width, self.size.height, self.boxed)
        words = 3 if all(item.bundled for item in self.listed) else 0
        line = event.y - 1 - words
        at = self._first(max(1, height - words)) + line
        if not 0 <= line < height - words or at >= len(self.listed):
            return
        chosen, self.at = at == self.at, at
        self.tick()
        if chosen:
            await self.run_action("app.open")

    def _line(self, item: Listed, width: int, selected: bool) -> Row:
        assert self.frame is not None
        sign, role, word = MARKS[item.stage]
        cells = word or f"{item.cells_ok}/{item.cells_total}"
        said = "demo" if item.bundled else when(item.wall_s, self.frame.now_s)
        room = max(0, width - CELLS_WIDTH - WHEN_WIDTH - 4)
        named = room * 3 // 5
        return [
            (glyph("▸ ") if selected else "  ", "accent-a"),
            (glyph(sign) + " ", role),
            (fit(said, WHEN_WIDTH), "muted"),
            (fit(item.label, named - 1, mark=glyph("…")) + " ", "bold" if selected else "text"),
            (fit(item.models, room - named - 1, mark=glyph("…")) + " ", "muted"),
            (fit(cells, CELLS_WIDTH, "right"), role if word else "muted"),
        ]


class Start(HomePanel):
    """How to start a run."""

    heading = "start"

    def rows(self, width: int, height: int) -> list[Row]:
        rows: list[Row] = [
            [("r", "accent-a.bold"), ("  the quick preset", "text.bold")],
            [("   gpt2 in fp32 and bf16,", "muted")],
            [("   about a minute", "muted")],
            [],
            [("a", "accent-a.bold"), ("  a live A/B of two precisions", "text.bold")],
            [("   which is faster, at what cost", "muted")],
            [],
            [("a matrix of your own", "text")],
            [("   txtop run --models gpt2 \\", "muted")],
            [("     --batch-sizes 1 8 32", "muted")],
            [],
            [("what can be measured here", "text")],
            [("   txtop doctor", "muted")],
        ]
        if height < len(rows):
            rows = [row for row in rows if row]
        return rows


class Footer(HomeLines):
    """What is possible now; what does not fit is in the help."""

    @property
    def keys(self) -> Sequence[tuple[str, str]]:
        chosen = self.screen.query_one(Sessions).selected
        return footer_keys("home", resumable=chosen is not None and chosen.resumable)

    def build(self, width: int, height: int) -> list[Row]:
        return footer(self.keys, width, current())

    def on_click(self, event: events.Click) -> None:
        """A click on a key is that key."""
        if key := pressed(key_at(self.keys, self.size.width, current(), event.x)):
            self.app.simulate_key(key)


class HomeScreen(Screen[Any]):
    """The first screen. `enter` opens the selected session, `r` starts the quick preset."""

    _rows = 3

    def compose(self) -> ComposeResult:
        yield Heading(id="heading")
        yield MachinePanel(id="machine")
        with Horizontal(id="lower"):
            yield Sessions(id="sessions")
            yield Start(id="start")
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

    @property
    def sessions(self) -> Sessions:
        return self.query_one(Sessions)

    @property
    def selected(self) -> Listed | None:
        """The session that `enter` opens."""
        return self.sessions.selected

    def on_key(self, event: events.Key) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10}
        if event.key in moves:
            self.sessions.move(moves[event.key])
        elif event.key in ("home", "end"):
            self.sessions.move(-1_000_000 if event.key == "home" else 1_000_000)

    def on_mouse_scroll_up(self) -> None:
        self.sessions.move(-1)

    def on_mouse_scroll_down(self) -> None:
        self.sessions.move(1)


def when(wall_s: float, now_s: float) -> str:
    """`14:02` today, `21 Nov` this year, `2025` before."""
    then, now = datetime.fromtimestamp(wall_s), datetime.fromtimestamp(now_s)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then.day} {then:%b}" if then.year == now.year else f"{then:%Y}"
