"""The base of the screens of one session, live or replayed: its panels, its cells, its arms."""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, Literal, TypeVar

from textual.app import ComposeResult
from textual.geometry import Size
from textual.widget import Widget

from txtop.errors import TxtopError
from txtop.state.session import SessionState
from txtop.ui.messages import AskSource
from txtop.ui.models import clipboard
from txtop.ui.models.cell_detail.detail import CellDetailView
from txtop.ui.models.layout import PanelLayout, arrange_ab, arrange_session
from txtop.ui.models.view import View
from txtop.ui.modes import LiveMode, ReplayMode
from txtop.ui.panels import machine
from txtop.ui.panels.ab_arm import ABArmPanel
from txtop.ui.panels.ab_divergence import ABDivergencePanel
from txtop.ui.panels.ab_verdict import ABVerdictPanel
from txtop.ui.panels.base import FramedPanel, Panel
from txtop.ui.panels.cell_detail.panel import CellDetailColumn, CellDetailPanel
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.edge import EdgePanel
from txtop.ui.panels.filtered_list import FilteredListPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.panels.header import HeaderPanel
from txtop.ui.panels.hero import HeroPanel
from txtop.ui.panels.log import LogPanel
from txtop.ui.panels.machine import MachinePanel
from txtop.ui.panels.race import RacePanel
from txtop.ui.panels.results import ResultsPanel
from txtop.ui.panels.tradeoffs.panel import TradeoffsPanel
from txtop.ui.panels.why import WhyPanel
from txtop.ui.report import write_trace
from txtop.ui.screens.session_screen import SessionScreen

AB_NUMBER, TRADEOFFS_NUMBER, WHY_NUMBER = 2, 3, 6
PANEL_NAMES = {
    1: "cells", TRADEOFFS_NUMBER: "tradeoffs", 4: "machine", 5: "log", WHY_NUMBER: "why",
}  # fmt: skip

M = TypeVar("M", bound=LiveMode | ReplayMode)


class SingleSessionScreen(SessionScreen[M, View], Generic[M]):
    """The panels of one session. Subclasses add the row under the header."""

    view = View()

    def __init__(self, mode: M, *, back_to: str = "") -> None:
        super().__init__(mode, back_to=back_to)
        self._shape: tuple[int, int, int, int, bool, bool, bool] = (4, 0, 0, 0, False, False, False)
        self._arm = 0
        self._back_to: Widget | None = None

    def build_timeline(self) -> Panel:
        """Build the row under the header."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield HeaderPanel(id="header")
        yield self.build_timeline()
        yield HeroPanel(id="hero")
        yield ResultsPanel(id="results")
        yield ABVerdictPanel(id="verdict")
        yield ABArmPanel(id="arm-a")
        yield ABArmPanel(id="arm-b")
        yield ABDivergencePanel(id="difference")
        yield MachinePanel(id="machine")
        yield CellsPanel(id="cells")
        yield TradeoffsPanel(id="tradeoffs")
        yield EdgePanel(id="edge")
        yield WhyPanel(id="why")
        yield RacePanel(id="race")
        yield LogPanel(id="log")
        for name in ("detail-iterations", "detail-histogram", "detail-load"):
            yield CellDetailPanel(id=name)
        yield CellDetailColumn(id="detail")
        yield FooterPanel(self.footer, id="footer")
        yield CompactPanel(self.footer, id="card")

    def arrange_panels(self, size: Size) -> PanelLayout:
        return self._plan(size, self._zoom if self.view.detail is None else "detail")

    def _plan(self, size: Size, zoom: str) -> PanelLayout:
        rows, count, edges, race, plots, captioned, results = self._shape
        if self.view.ab is not None:
            return arrange_ab(
                size.width,
                size.height,
                replay=self.kind == "replay",
                captioned=captioned,
                machine_rows=rows,
                zoom=zoom,
            )
        return arrange_session(
            size.width,
            size.height,
            replay=self.kind == "replay",
            captioned=captioned,
            machine_rows=rows,
            cells=count,
            zoom=zoom,
            tradeoffs=plots,
            results=results,
            edge=edges,
            why=self.view.why is not None,
            race=race,
        )

    def show(self, view: View) -> None:
        """Draw what is new in `view`, on the panels that are visible."""
        if view.ab is not None:
            view = replace(view, ab=view.ab.choose(self._arm))
        rows = machine.compute_small_height(view.machine)
        captioned = view.playback is not None and bool(view.playback.caption)
        plots, over = bool(view.tradeoffs.plots), view.results is not None
        edges = sum(edge.row_count for edge in view.edges)
        race = view.race.row_count if view.race is not None else 0
        shape = (rows, len(view.cells), edges, race, plots, captioned, over)
        changed = shape != self._shape or (view.ab is None) != (self.view.ab is None)
        changed |= (view.why is None) != (self.view.why is None)
        before = self.view.detail
        turned = (view.detail is None) != (before is None)
        self.view = view
        if changed or turned:
            self._shape = shape
            self._lay_out()
        self._distribute_views(("", view))
        if turned:
            self._follow_detail(before)
        panel = self.focused_panel
        if panel is not None and panel.id not in self.arrange_panels(self.size).places:
            self.set_focus(None)

    @property
    def ended(self) -> bool:
        return bool(self.view.ended)

    # The detail of a cell

    @property
    def cell_detail(self) -> Literal["", "shut", "open"]:
        return "open" if self.mode.opened else "shut"

    def open_detail(self, name: str) -> bool:
        """Open the detail of the cell, or close it without a name; False if it is so already."""
        if self.mode.opened == name:
            return False
        self.mode.opened = name
        self.post_message(AskSource(lambda _source: None))
        return True

    def action_open_cell(self) -> None:
        self.open_detail(self.at_cursor)

    def action_next_cell(self, direction: int) -> None:
        if self.mode.opened:
            self.open_detail(self.get_neighbour(direction))

    def _follow_detail(self, closed: CellDetailView | None) -> None:
        """Give the focus to a detail that was opened, or back to where it was."""
        if closed is None:
            self._back_to = self.focused_panel
            self.set_focus(self.query_one(CellDetailColumn))
            return
        if isinstance(self._back_to, CellsPanel):
            self._back_to.go_to(closed.id)
        self.set_focus(self._back_to)
        self._back_to = None

    @property
    def at_cursor(self) -> str:
        """The id of the cell under the cursor; without one, of the cell of the newest sample."""
        selected = getattr(self.focused_panel, "selected", None)
        rows = self.view.cells
        return selected or (rows[max(0, self.view.position - 1)].id if rows else "")

    @property
    def panel_now(self) -> str:
        return "detail" if self.view.detail is not None else super().panel_now

    def get_neighbour(self, direction: int) -> str:
        """Return the id of the cell after the one whose detail is open, or before it, in the order
        of the table; empty without a detail.
        """
        if self.view.detail is None:
            return ""
        names = [row.id for row in self.query_one(CellsPanel).rows]
        if self.view.detail.id not in names:
            names = [row.id for row in self.view.cells]
        if self.view.detail.id not in names:
            return ""
        at = names.index(self.view.detail.id) + direction
        return names[max(0, min(at, len(names) - 1))]

    # Panels

    def action_panel(self, number: int) -> None:
        self.open_detail("")
        self.panel(number)

    def panel(self, number: int) -> None:
        """Give a panel the focus; where it is small or hidden, all the room, and back again."""
        if number == AB_NUMBER:
            self.leave_panel()
            return
        name = PANEL_NAMES.get(number)
        if name is None:
            return
        if self.view.ab is not None:
            self._set_zoom("" if self._zoom == name else name)
            self.set_focus(self.query_one(f"#{name}", FramedPanel) if self._zoom else None)
            return
        plan = self._plan(self.size, "")
        focused = self.focused_panel is not None and self.focused_panel.id == name
        hidden = name not in plan.places
        # A tree that opens needs all the room.
        takes_all = hidden or not plan.boxed or number == WHY_NUMBER
        if takes_all or (focused and not self._zoom):
            self._set_zoom("" if self._zoom == name else name)
        elif self._zoom:
            self._set_zoom("")
        if not self._zoom and (hidden or not plan.boxed):
            self.set_focus(None)
        else:
            self.query_one(f"#{name}", FramedPanel).focus()

    def action_explain(self) -> None:
        """Open the explanation of the cell at the cursor; without one start the run that makes it.

        Nothing is started while something is measured, or beside an explanation that follows.
        """
        if self.view.why is not None and not self.view.why.is_missing:
            self.panel(WHY_NUMBER)
            return
        name = self.at_cursor
        if self.mode.going:
            self.say("explaining would disturb the measurement: x again when the run is over")
        elif name:
            self.post_message(AskSource(lambda source: self._start_explaining(source.state, name)))

    def action_save_trace(self) -> None:
        """Write the trace of the explanation, in a process of its own."""
        app, paths = self.app, self.mode.paths
        if self.view.why is None or self.view.why.pending:
            self.say("no cell of this session is explained")
        elif self.mode.going:
            self.say("writing would disturb the measurement: d again when the run is over")
        else:
            app.run_worker(lambda: write_trace(app, paths[0]), thread=True, exclusive=True)

    def _start_explaining(self, state: SessionState, name: str) -> None:
        """Leave for a run that explains a cell of this session; called off the UI thread."""
        from txtop.options.explain_options import explain_cell_again

        try:
            plan = explain_cell_again(state.plan, state.cells[name].cell)
        except TxtopError as error:
            self.say(str(error))
            return
        # Beside a run that is over; a recording may lie anywhere, among those that ship too.
        run = self.mode.run_path
        self.switch_mode(LiveMode(plan, session_dir=run.parent if run is not None else None))

    def next_plot(self) -> str:
        """Show the next plot of the trade-offs, opening them first; return the reason if none."""
        if "tradeoffs" not in self.arrange_panels(self.size).places:
            self.panel(TRADEOFFS_NUMBER)
            return ""
        return self.query_one(TradeoffsPanel).next_plot()

    def action_next_plot(self) -> None:
        if reason := self.next_plot():
            self.say(reason)

    def action_next_pair(self) -> None:
        """Show the next pair of an A/B of more than two arms."""
        if self.mode.arms > 2:
            self._arm += 1
            self.show(self.view)

    def _focus_panel(self, name: str) -> bool:
        """Show a panel and give it the focus; False on the card and in the detail of a cell, where
        no panel can have it.
        """
        places = self.arrange_panels(self.size).places
        if "card" in places or self.view.detail is not None:
            return False
        if name not in places:
            self._set_zoom(name)
        self.set_focus(self.query_one(f"#{name}", FramedPanel), scroll_visible=False)
        return True

    def filter(self) -> bool:
        name = "log" if self.panel_now == "log" else "cells"
        if self._focus_panel(name):
            self.query_one(f"#{name}", FilteredListPanel).begin()
            return True
        return False

    def next_order(self) -> bool:
        if self._focus_panel("cells"):
            self.query_one(CellsPanel).next_order()
            return True
        return False

    def next_severity(self) -> bool:
        if self._focus_panel("log"):
            self.query_one(LogPanel).next_severity()
            return True
        return False

    def get_selected_lines(self) -> tuple[str, list[str]] | None:
        if self.panel_now == "log":
            lines = clipboard.format_log_rows(self.query_one(LogPanel).in_sight)
            return f"{len(lines)} lines of the log", lines
        if self.view.detail is not None:
            name: str | None = self.view.detail.id
        elif self.panel_now == "tradeoffs":
            name = self.query_one(TradeoffsPanel).selected
        else:
            name = self.query_one(CellsPanel).selected
        row = next((row for row in self.view.cells if row.id == name), None)
        if row is None:
            return None
        return f"{row.model} {row.precision} batch {row.batch}", [clipboard.format_cell_row(row)]

    def back(self) -> bool:
        """Leave the detail of a cell, or else a panel; False when there is nothing to leave."""
        return self.open_detail("") or self.leave_panel()

    def leave_panel(self) -> bool:
        """Leave the text that filters a list, then the zoom, then the focus; False without any."""
        panel = self.focused_panel
        if isinstance(panel, FilteredListPanel) and panel.clear():
            return True
        if not self._zoom and self.focused is None:
            return False
        self._set_zoom("")
        self.set_focus(None)
        return True

    def _set_zoom(self, name: str) -> None:
        if name != self._zoom:
            self._zoom = name
            for panel in self.query(FramedPanel):
                panel.zoomed = panel.id == name
            self._lay_out()
