"""The screen of a replayed session."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from txtop.ui.keymap import build_bindings
from txtop.ui.models.view import View
from txtop.ui.modes import ReplayMode
from txtop.ui.panels.base import Panel
from txtop.ui.panels.transport import TransportPanel
from txtop.ui.screens.single_session import SingleSessionScreen
from txtop.ui.screens.transport_actions import TransportActions


class ReplayScreen(SingleSessionScreen[ReplayMode], TransportActions[ReplayMode, View]):
    """The panels of a recording, under its transport."""

    kind = "replay"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("replay")

    def build_timeline(self) -> Panel:
        return TransportPanel(id="transport")
