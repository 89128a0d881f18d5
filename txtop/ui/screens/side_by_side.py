"""The screen of two sessions side by side, on one clock and under one transport."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.spans import Row
from txtop.ui.keymap import KeyHints, build_bindings, build_footer_keys
from txtop.ui.models.hero import share_scale
from txtop.ui.models.layout import PanelLayout, arrange_side_by_side
from txtop.ui.models.view import SideBySideView, View
from txtop.ui.modes import SideBySideMode
from txtop.ui.panels import header
from txtop.ui.panels.base import Panel
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.panels.hero import HeroPanel
from txtop.ui.panels.transport import TransportPanel
from txtop.ui.screens.transport_actions import TransportActions

SIDES = ("a", "b")


class SideBySideHeader(Panel):
    """The first row: the session of each side."""

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


class SideBySideScreen(TransportActions[SideBySideMode, SideBySideView]):
    """The cells of both sessions, and the cell at work of each."""

    kind = "replay"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("replay")

    def __init__(self, mode: SideBySideMode, *, back_to: str = "") -> None:
        super().__init__(mode, back_to=back_to)
        self._count = 0

    def compose(self) -> ComposeResult:
        yield SideBySideHeader(id="header")
        yield TransportPanel(id="transport")
        for side in SIDES:
            yield SideBySideHeroPanel(id=f"hero-{side}")
            yield CellsPanel(id=f"cells-{side}")
        yield FooterPanel(self.footer, id="footer")
        yield CompactPanel(self.footer, id="card")

    def arrange_panels(self, size: Size) -> PanelLayout:
        return arrange_side_by_side(size.width, size.height, cells=self._count, zoom=self._zoom)

    def show(self, frame: SideBySideView) -> None:
        """Draw what is new, on the panels that are visible."""
        left, right = _letter_titles(frame)
        count = max(len(left.cells), len(right.cells))
        if count != self._count:
            self._count = count
            self._lay_out()
        self.query_one(SideBySideHeader).pair = frame
        self._distribute_views(("-b", right), ("", left))

    def keys_now(self) -> KeyHints:
        return build_footer_keys(
            self.kind,
            panel=self._zoom,
            paused=self.mode.paused,
            back=self.back_to,
            side_by_side=True,
        )

    def panel(self, number: int) -> None:
        """Give the cells of both all the room, or take it away."""
        if number == 1:
            self._zoom = "" if self._zoom else "cells"
            self._lay_out()
            self.update_footer()

    def back(self) -> bool:
        """Leave the zoom; False when there is nothing to leave."""
        if not self._zoom:
            return False
        self.panel(1)
        return True


def _letter_titles(pair: SideBySideView) -> tuple[View, View]:
    """Return both views with lettered titles, and with charts of one unit on one scale.

    A short title tells a cell from others of its session, which two models in two sessions are not.
    """
    heroes = share_scale(pair.left.hero, pair.right.hero)
    models = [hero.title.partition(" · ")[0] for hero in heroes]
    names = ["", ""] if models[0] == models[1] else [f"{model} · " for model in models]
    left, right = (
        replace(
            view,
            hero=replace(
                hero,
                title=f"{side.upper()}  {hero.title}",
                short_title=f"{side.upper()}  {name}{hero.short_title}",
            ),
        )
        for side, name, view, hero in zip(
            SIDES, names, (pair.left, pair.right), heroes, strict=True
        )
    )
    return left, right
