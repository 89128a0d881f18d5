"""Screens of panels: each panel has the place that the screen's layout gives its id."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Generic, TypeVar

from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from txtop.ui.models.layout import PanelLayout
from txtop.ui.screens.mode_screen import ModeScreen

F = TypeVar("F")


class PanelGrid(Layout):
    """The layout that places panels where the screen's plan says, in one pass."""

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


class PanelScreen(ModeScreen[F], Generic[F]):
    """A screen of panels. Subclasses compose them and arrange them."""

    CSS_PATH = "live.tcss"
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(self) -> None:
        super().__init__()
        self._grid = PanelGrid()

    @property
    def layout(self) -> Layout:
        return self._grid

    @abstractmethod
    def arrange_panels(self, size: Size) -> PanelLayout:
        """Return the places of the panels on a terminal of that size."""
