"""The live screen, and the same with a transport for a replay: panels laid out for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.screen import Screen
from textual.widget import Widget

from txtop.ui.layout import Plan, arrange
from txtop.ui.view import View
from txtop.ui.widgets import machine
from txtop.ui.widgets.panels import (
    Card,
    CellsPanel,
    Framed,
    Header,
    HeroPanel,
    KeyBar,
    LogPanel,
    MachinePanel,
    Panel,
    RailBar,
    Transport,
)

Mode = Literal["live", "replay"]
PANELS = {1: "cells", 4: "machine", 5: "log"}


class Grid(Layout):
    """Places the panels of a live screen by `arrange`, in one pass."""

    name = "grid-of-panels"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        assert isinstance(parent, LiveScreen)
        places = parent.plan_for(size).places
        none = Spacing()
        return [
            WidgetPlacement(Region(*places[child.id]), Offset(), none, child)
            for child in children
            if child.id in places
        ]


class LiveScreen(Screen[None]):
    """Shows views. It collects nothing and decides nothing."""

    CSS_PATH = "live.tcss"
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(self, mode: Mode = "live", footer: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self.mode: Mode = mode
        self.view = View()
        self._footer = footer
        self._zoom = ""
        self._shape: tuple[int, int] = (4, 0)
        self._grid = Grid()

    @property
    def layout(self) -> Layout:
        return self._grid

    def compose(self) -> ComposeResult:
        yield Header(id="header")
        yield Transport(id="transport") if self.mode == "replay" else RailBar(id="rail")
        yield HeroPanel(id="hero")
        yield MachinePanel(id="machine")
        yield CellsPanel(id="cells")
        yield LogPanel(id="log")
        yield KeyBar(self._footer, id="footer")
        yield Card(self._footer, id="card")

    def plan_for(self, size: Size) -> Plan:
        """The panels on show on a terminal of that size."""
        rows, count = self._shape
        return arrange(
            size.width,
            size.height,
            replay=self.mode == "replay",
            machine_rows=rows,
            cells=count,
            zoom=self._zoom,
        )

    def show(self, view: View) -> None:
        """Draws what is new in `view`, on the panels that are on show."""
        self.view = view
        shape = (machine.small_height(view.machine), len(view.cells))
        if shape != self._shape:
            self._shape = shape
            self._lay_out()
        places = self.plan_for(self.size).places
        for panel in self.query(Panel):
            if panel.id in places:
                panel.show(view)
            else:
                panel.shown = view

    def set_footer(self, keys: Sequence[tuple[str, str]]) -> None:
        """Replaces what the last row says."""
        self._footer = keys
        for bar in self.query(KeyBar):
            bar.keys = keys
            bar.tick()
        for card in self.query(Card):
            card.keys = keys
            card.tick()

    def panel(self, number: int) -> None:
        """Gives a panel the focus; where it is small or hidden, all the room, and back again."""
        name = PANELS.get(number)
        if name is None:
            return
        plan = arrange(*self.size, replay=self.mode == "replay", machine_rows=self._shape[0])
        focused = self.focused is not None and self.focused.id == name
        if not plan.boxed or (focused and not self._zoom):
            self._set_zoom("" if self._zoom == name else name)
        elif self._zoom:
            self._set_zoom("")
        if not plan.boxed and not self._zoom:
            self.set_focus(None)
        else:
            self.query_one(f"#{name}", Framed).focus()

    def back(self) -> bool:
        """Leaves the zoom, then the focus; False when there is nothing to leave."""
        if not self._zoom and self.focused is None:
            return False
        self._set_zoom("")
        self.set_focus(None)
        return True

    def _set_zoom(self, name: str) -> None:
        if name != self._zoom:
            self._zoom = name
            self._lay_out()

    def _lay_out(self) -> None:
        """Asks for the panels to be placed anew; from a child, since a screen keeps its own."""
        self.query_one(Header).refresh(layout=True)
