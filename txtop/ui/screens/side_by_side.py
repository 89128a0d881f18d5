"""Two sessions side by side: a lane each, on one clock and under one transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.geometry import Size

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.spans import Row
from txtop.ui.models.layout import PanelLayout, arrange_side_by_side
from txtop.ui.models.view import SideBySideView, View
from txtop.ui.panels import header
from txtop.ui.panels.base import Panel
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.panels.hero import HeroPanel
from txtop.ui.panels.transport import TransportPanel
from txtop.ui.screens.panel_screen import PanelScreen

SIDES = ("a", "b")
LETTERS = {"a": "A", "b": "B"}


class SideBySideHeader(Panel):
    """Row 0: which session is on which side."""

    pair: SideBySideView = SideBySideView(View(), View())

    def build(self, width: int, height: int) -> list[Row]:
        return header.render_side_by_side_header(self.pair, width, glyphs.get_glyphs())


class SideBySideHeroPanel(HeroPanel):
    """The cell at work on one side, in that side's colour."""

    def build(self, width: int, height: int) -> list[Row]:
        rows = super().build(width, height)
        if self.id == "hero-b":
            rows = [
                [(text, role.replace("accent-a", "accent-b")) for text, role in r] for r in rows
            ]
        return rows


class SideBySideScreen(PanelScreen):
    """Shows pairs of views."""

    def __init__(self, footer: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(footer)
        self._count = 0

    def compose(self) -> ComposeResult:
        yield SideBySideHeader(id="header")
        yield TransportPanel(id="transport")
        for side in SIDES:
            yield SideBySideHeroPanel(id=f"hero-{side}")
            yield CellsPanel(id=f"cells-{side}")
        yield FooterPanel(self._footer, id="footer")
        yield CompactPanel(self._footer, id="card")

    def arrange_panels(self, size: Size) -> PanelLayout:
        """The panels on show on a terminal of that size."""
        return arrange_side_by_side(size.width, size.height, cells=self._count, zoom=self._zoom)

    def show(self, pair: SideBySideView) -> None:
        """Draws what is new, on the panels that are on show."""
        left, right = _share_scale(pair)
        count = max(len(left.cells), len(right.cells))
        if count != self._count:
            self._count = count
            self._lay_out()
        self.query_one(SideBySideHeader).pair = pair
        self._distribute_views(("-b", right), ("", left))

    def panel(self, number: int) -> None:
        """The cells of both in all the room, and back again."""
        if number == 1:
            self._zoom = "" if self._zoom else "cells"
            self._lay_out()

    def back(self) -> bool:
        """Leaves the zoom; False when there is nothing to leave."""
        if not self._zoom:
            return False
        self.panel(1)
        return True


def _share_scale(pair: SideBySideView) -> tuple[View, View]:
    """Lettered titles, and charts of one unit on one scale: heights may then be compared."""
    views = [pair.left, pair.right]
    charts = [view.hero.chart for view in views]
    if views[0].hero.unit == views[1].hero.unit and all(chart.points for chart in charts):
        low, high = min(c.low for c in charts), max(c.high for c in charts)
        charts = [replace(chart, low=low, high=high) for chart in charts]
    lettered = [
        replace(
            view,
            hero=replace(view.hero, title=f"{LETTERS[side]}  {view.hero.title}", chart=chart),
        )
        for side, view, chart in zip(SIDES, views, charts, strict=True)
    ]
    return lettered[0], lettered[1]
