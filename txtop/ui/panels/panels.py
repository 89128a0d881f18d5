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
from txtop.ui.panels.base import FramedPanel, Panel
from txtop.ui.panels.filtered_list import CellsPanel, LogPanel
from txtop.ui.panels.key_row import FooterRow

__all__ = [
    "ABArmPanel",
    "ABDivergencePanel",
    "ABVerdictPanel",
    "CellsPanel",
    "CompactPanel",
    "FooterPanel",
    "FramedPanel",
    "HeaderPanel",
    "HeroPanel",
    "LogPanel",
    "MachinePanel",
    "Panel",
    "ProgressRailPanel",
    "TransportPanel",
]
KeyHints = Sequence[tuple[str, str]]


class HeaderPanel(Panel):
    """Row 0."""

    def build(self, width: int, height: int) -> list[Row]:
        return bars.render_header(self.shown, width, glyphs.get_glyphs())


class ProgressRailPanel(Panel):
    """Row 1 of a run."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is not None and self.shown.banner is None:
            return bars.render_ab_rail(self.shown.duel, width, glyphs.get_glyphs())
        return bars.render_rail(self.shown.rail, self.shown.banner, width, glyphs.get_glyphs())


class TransportPanel(Panel):
    """Rows 1 and 2 of a replay."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.playback is None:
            return []
        return transport.render_transport(self.shown.playback, width, height, glyphs.get_glyphs())


class HeroPanel(FramedPanel):
    """The big number."""

    def build(self, width: int, height: int) -> list[Row]:
        return hero.render_hero(
            self.shown.hero, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )


class MachinePanel(FramedPanel, can_focus=True):
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
            return machine_detail.render_machine_detail(
                shown.machine,
                shown.whole,
                width,
                height,
                glyphs.get_glyphs(),
                boxed=self.boxed,
                focused=focused,
            )
        return machine.render_machine(
            self.shown.machine,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
        )


class ABVerdictPanel(FramedPanel):
    """The big number of an A/B."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return ab_verdict.render_ab_verdict(
            self.shown.duel, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )


class ABArmPanel(FramedPanel):
    """One arm of an A/B: `lane-a` or `lane-b`."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        side = 0 if self.id == "lane-a" else 1
        return ab_arm.render_ab_arm(
            self.shown.duel, side, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )


class ABDivergencePanel(FramedPanel):
    """What two arms write, from where it differs."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return ab_divergence.render_ab_divergence(
            self.shown.duel, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )


class FooterPanel(Panel, FooterRow):
    """What a session's screen was told last."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def keys_now(self) -> KeyHints:
        return self.keys


class CompactPanel(Panel):
    """Everything, where there is no room for panels."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return compact.render_compact(self.shown, self.keys, width, height, glyphs.get_glyphs())
