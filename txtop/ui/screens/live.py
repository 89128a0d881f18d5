"""The screen of a run: the panels of its session, and the requests to its runner."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from txtop.ui.keymap import build_bindings
from txtop.ui.models.hero import HeroView
from txtop.ui.models.view import View
from txtop.ui.modes import LiveMode
from txtop.ui.panels.base import Panel
from txtop.ui.panels.progress_rail import ProgressRailPanel
from txtop.ui.screens.single_session import SingleSessionScreen


class LiveScreen(SingleSessionScreen[LiveMode]):
    """The panels of a run."""

    kind = "live"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("live")

    def build_timeline(self) -> Panel:
        return ProgressRailPanel(id="rail")

    def show_starting(self) -> None:
        """Draw a placeholder: there is no frame until a new run has its log."""
        if self.mode.path is None:
            self.show(View(hero=HeroView(word="starting", why="the runner, in a process apart")))

    def on_progress_rail_panel_open_cell(self, event: ProgressRailPanel.OpenCell) -> None:
        self.open_detail(event.cell)

    def action_pause_run(self) -> None:
        if self.mode.paused:
            self._request("resume", "resumed")
        else:
            self._request("pause", "pausing after this iteration")

    def action_skip_cell(self) -> None:
        # A frame may be older than what the runner does by now.
        name = self.view.cells[self.view.running].id if self.view.running is not None else ""
        self._request("skip", "ending the A/B" if self.mode.arms else "skipping this cell", name)

    def action_marker(self) -> None:
        self._request("marker", "marker set")

    def _request(self, action: str, answer: str, cell: str = "") -> None:
        if self.mode.going:
            self.mode.send(action, cell)
            self.say(answer)
        else:
            self.say(self.mode.refusal)
