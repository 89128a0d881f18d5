"""The actions of the transport, which the replay of one session and that of two have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from txtop import formatting
from txtop.ui.messages import AskSource
from txtop.ui.modes import ReplayMode, SideBySideMode
from txtop.ui.panels.transport import TransportPanel
from txtop.ui.screens.dialogs import GoToDialog
from txtop.ui.screens.session_screen import SessionScreen

if TYPE_CHECKING:
    from txtop.session.transport import Transport

M = TypeVar("M", bound=ReplayMode | SideBySideMode)
F = TypeVar("F")


class TransportActions(SessionScreen[M, F], Generic[M, F]):
    """A screen of recordings. The player belongs to the thread of the frame loop, so it is changed
    there and not here.
    """

    def change_transport(self, change: Callable[[Transport], object]) -> None:
        """Change the player; the next frame shows the outcome."""
        self.post_message(AskSource(change))

    def action_play(self) -> None:
        self.change_transport(lambda player: player.toggle())

    def action_step(self, direction: int) -> None:
        self.change_transport(lambda player: player.step(direction))

    def action_step_cell(self, direction: int) -> None:
        self.change_transport(lambda player: player.step_cell(direction))

    def action_step_marker(self, direction: int) -> None:
        self.change_transport(lambda player: player.step_marker(direction))

    def action_reverse(self) -> None:
        self.change_transport(lambda player: player.reverse())

    def action_idle(self) -> None:
        self.change_transport(lambda player: player.toggle_idle())

    def action_speed(self, direction: int) -> None:
        self.change_transport(lambda p: p.faster() if direction > 0 else p.slower())

    def action_go_start(self) -> None:
        self.change_transport(lambda player: player.seek(0))

    def action_go_end(self) -> None:
        self.change_transport(lambda player: player.seek(player.duration_ns))

    def on_transport_panel_seek(self, event: TransportPanel.Seek) -> None:
        at_ns = event.at_ns
        self.change_transport(lambda player: player.seek(at_ns))

    def action_go_to(self) -> None:
        """Ask for a time, a cell or a marker, and go there."""
        if self.mode.player is not None:
            length = formatting.format_clock(self.mode.player.duration_ns)
            self.app.push_screen(GoToDialog(length, self.mode.player.find), self._go_to)

    def _go_to(self, at_ns: int | None) -> None:
        if at_ns is not None:
            self.change_transport(lambda player: player.seek(at_ns))
