"""The panels as widgets: each hands the view to its builder and keeps what a person chose in it."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.line_widget import Row
from txtop.ui.models.view import View
from txtop.ui.panels import (
    ab_arm,
    ab_divergence,
    ab_verdict,
    bars,
    compact,
    hero,
    machine,
    machine_detail,
    transport,
)
from txtop.ui.panels.base import Framed, Panel
from txtop.ui.panels.filtered_list import CellsPanel, LogPanel
from txtop.ui.panels.key_row import KeyRow

__all__ = [
    "ArmPanel",
    "Card",
    "CellsPanel",
    "DifferencePanel",
    "Framed",
    "Header",
    "HeroPanel",
    "KeyBar",
    "LogPanel",
    "MachinePanel",
    "Panel",
    "RailBar",
    "Transport",
    "VerdictPanel",
]
Keys = Sequence[tuple[str, str]]


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
        if self.zoomed:
            shown, focused = self.shown, self.has_focus
            return machine_detail.whole(
                shown.machine,
                shown.whole,
                width,
                height,
                glyphs.current(),
                boxed=self.boxed,
                focused=focused,
            )
        return machine.machine(
            self.shown.machine,
            width,
            height,
            glyphs.current(),
            boxed=self.boxed,
            focused=self.has_focus,
        )


class VerdictPanel(Framed):
    """The big number of an A/B."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return ab_verdict.verdict(
            self.shown.duel, width, height, glyphs.current(), boxed=self.boxed
        )


class ArmPanel(Framed):
    """One arm of an A/B: `lane-a` or `lane-b`."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        side = 0 if self.id == "lane-a" else 1
        return ab_arm.lane(self.shown.duel, side, width, height, glyphs.current(), boxed=self.boxed)


class DifferencePanel(Framed):
    """What two arms write, from where it differs."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return ab_divergence.parting(
            self.shown.duel, width, height, glyphs.current(), boxed=self.boxed
        )


class KeyBar(Panel, KeyRow):
    """What a session's screen was told last."""

    def __init__(self, keys: Keys, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def keys_now(self) -> Keys:
        return self.keys


class Card(Panel):
    """Everything, where there is no room for panels."""

    def __init__(self, keys: Keys, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return compact.card(self.shown, self.keys, width, height, glyphs.current())
