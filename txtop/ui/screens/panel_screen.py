"""A screen of panels that a plan places: what the live screen and that of two sessions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.screen import Screen
from textual.widget import Widget

from txtop.ui.models.layout import PanelLayout
from txtop.ui.models.view import View
from txtop.ui.panels.base import Panel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.filtered_list import FilteredListPanel
from txtop.ui.panels.footer import FooterPanel


class PanelGrid(Layout):
    """Places the panels where the screen's plan says, in one pass."""

    name = "grid-of-panels"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        assert isinstance(parent, PanelScreen)
        places = parent.arrange_panels(size).places
        none = Spacing()
        return [
            WidgetPlacement(Region(*places[child.id]), Offset(), none, child)
            for child in children
            if child.id in places
        ]


class PanelScreen(Screen[None]):
    """It collects nothing and decides nothing. Subclasses say what is on it, and where."""

    CSS_PATH = "live.tcss"
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(self, footer: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._footer = footer
        self._zoom = ""
        self._grid = PanelGrid()

    @property
    def layout(self) -> Layout:
        return self._grid

    def arrange_panels(self, size: Size) -> PanelLayout:
        """The panels on show on a terminal of that size."""
        raise NotImplementedError

    @property
    def panel_now(self) -> str:
        """The panel that has all the room, else the one that has the focus; empty without one."""
        return self._zoom or (self.focused.id if self.focused else None) or ""

    @property
    def typing(self) -> bool:
        """Whether letters are words to look for."""
        return isinstance(self.focused, FilteredListPanel) and self.focused.words.typing

    def filter(self) -> bool:
        """Begins to look for words in a list; False where there is none."""
        return False

    def next_order(self) -> bool:
        """Orders the cells otherwise; False where they have one order."""
        return False

    def next_severity(self) -> bool:
        """Leaves out more of the log; False where there is none."""
        return False

    def chosen(self) -> tuple[str, list[str]] | None:
        """What a person has chosen to copy, in a word and in lines; null without a choice."""
        return None

    def set_footer(self, keys: Sequence[tuple[str, str]]) -> None:
        """Replaces what the last row says."""
        self._footer = keys
        for bar in self.query(FooterPanel):
            bar.keys = keys
            bar.tick()
        for card in self.query(CompactPanel):
            card.keys = keys
            card.tick()

    def _distribute_views(self, *views: tuple[str, View]) -> None:
        """Gives each panel the view for its id's ending; it draws it where it is on show."""
        places = self.arrange_panels(self.size).places
        for panel in self.query(Panel):
            view = next(v for ending, v in views if (panel.id or "").endswith(ending))
            if panel.id in places:
                panel.show(view)
            else:
                panel.shown = view

    def _lay_out(self) -> None:
        """Asks for the panels to be placed anew; from a child, since a screen keeps its own."""
        self.query_one("#header").refresh(layout=True)
