"""The panels as widgets: each hands the view to its builder and keeps what a person chose in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from txtop.ui import glyphs
from txtop.ui.layout import is_boxed
from txtop.ui.view import View
from txtop.ui.widgets import (
    bars,
    card,
    cells,
    hero,
    lane,
    log,
    machine,
    parting,
    transport,
    verdict,
)
from txtop.ui.widgets.lines import Ground, Lines, Row

PAGE = 10
MOVES: list[BindingType] = [
    Binding("up", "move(-1)", show=False),
    Binding("down", "move(1)", show=False),
    Binding("pageup", f"move(-{PAGE})", show=False),
    Binding("pagedown", f"move({PAGE})", show=False),
]
Keys = Sequence[tuple[str, str]]


class Panel(Lines):
    """Lines made from a view. `shown` is the newest; drawing waits for `tick`."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.shown = View()

    @property
    def boxed(self) -> bool:
        """Whether this terminal has room for frames."""
        return is_boxed(*self.app.size)

    def show(self, view: View) -> None:
        """Takes a view and draws what it changes."""
        self.shown = view
        self.tick()


class Framed(Panel):
    """A panel with a frame on large terminals, which can have the focus."""

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"

    def watch_has_focus(self, value: bool) -> None:
        """Drawn once it is so: the event comes before it."""
        super().watch_has_focus(value)
        self.tick()


class Header(Panel):
    """Row 0."""

    def build(self, width: int, height: int) -> list[Row]:
        return bars.header(self.shown, width, glyphs.current())


class RailBar(Panel):
    """Row 1 of a run."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is not None and self.shown.banner is None:
            return bars.duel_rail(self.shown.duel, width, glyphs.current())
        return bars.rail(self.shown.rail, self.shown.banner, width, glyphs.current())


class Transport(Panel):
    """Rows 1 and 2 of a replay."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.playback is None:
            return []
        return transport.transport(self.shown.playback, width, height, glyphs.current())


class HeroPanel(Framed):
    """The big number."""

    def build(self, width: int, height: int) -> list[Row]:
        return hero.hero(self.shown.hero, width, height, glyphs.current(), boxed=self.boxed)


class MachinePanel(Framed, can_focus=True):
    """The machine. It is drawn once a second of the session."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._second = -1

    def show(self, view: View) -> None:
        second, before = view.clock_ns // 1_000_000_000, self.shown.machine
        other = (view.machine.title, view.machine.roof is None) != (
            before.title,
            before.roof is None,
        )
        if second != self._second or other:
            self._second = second
            super().show(view)

    def build(self, width: int, height: int) -> list[Row]:
        return machine.machine(
            self.shown.machine,
            width,
            height,
            glyphs.current(),
            boxed=self.boxed,
            focused=self.has_focus,
        )


class CellsPanel(Framed, can_focus=True):
    """The table; with the focus, up and down move a cursor through it."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._cursor: int | None = None

    @property
    def selected(self) -> str | None:
        """The id of the cell under the cursor; null without one."""
        rows = self.shown.cells
        return rows[self._cursor].id if self._cursor is not None and rows else None

    def show(self, view: View) -> None:
        if self._cursor is not None:
            self._cursor = max(0, min(self._cursor, len(view.cells) - 1))
        super().show(view)

    def on_focus(self) -> None:
        if self._cursor is None:
            self._cursor = self.shown.running or 0
        self.tick()

    def go_to(self, name: str) -> None:
        """Puts the cursor on the cell of that id, if it is there."""
        names = [row.id for row in self.shown.cells]
        self._cursor = names.index(name) if name in names else self._cursor

    def on_blur(self) -> None:
        self._cursor = None
        self.tick()

    def action_move(self, by: int) -> None:
        """Moves the cursor by so many rows."""
        at = (self._cursor or 0) + by
        self._cursor = max(0, min(at, len(self.shown.cells) - 1))
        self.tick()

    def on_mouse_scroll_down(self) -> None:
        self._scroll_by_mouse(1)

    def on_mouse_scroll_up(self) -> None:
        self._scroll_by_mouse(-1)

    def _scroll_by_mouse(self, by: int) -> None:
        self.focus()
        self.action_move(by)

    def build(self, width: int, height: int) -> list[Row]:
        return cells.cells_table(
            self.shown.cells,
            self.shown.running,
            width,
            height,
            glyphs.current(),
            boxed=self.boxed,
            focused=self.has_focus,
            cursor=self._cursor,
        )


class LogPanel(Framed, can_focus=True):
    """The log, newest first; with the focus, down goes back in time."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0

    def action_move(self, by: int) -> None:
        """Leaves out so many more of the newest lines."""
        self._skip = max(0, min(self._skip + by, len(self.shown.log) - self.size.height + 2))
        self.tick()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-1)

    def build(self, width: int, height: int) -> list[Row]:
        return log.log_lines(
            self.shown.log,
            width,
            height,
            glyphs.current(),
            boxed=self.boxed,
            focused=self.has_focus,
            skip=self._skip,
        )


class VerdictPanel(Framed):
    """The big number of an A/B."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return verdict.verdict(self.shown.duel, width, height, glyphs.current(), boxed=self.boxed)


class ArmPanel(Framed):
    """One arm of an A/B: `lane-a` or `lane-b`."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        side = 0 if self.id == "lane-a" else 1
        return lane.lane(self.shown.duel, side, width, height, glyphs.current(), boxed=self.boxed)


class DifferencePanel(Framed):
    """What two arms write, from where it differs."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return parting.parting(self.shown.duel, width, height, glyphs.current(), boxed=self.boxed)


class KeyBar(Panel):
    """The last row: what is possible now."""

    def __init__(self, keys: Keys, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return bars.footer(self.keys, width, glyphs.current())


class Card(Panel):
    """Everything, where there is no room for panels."""

    def __init__(self, keys: Keys, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return card.card(self.shown, self.keys, width, height, glyphs.current())
