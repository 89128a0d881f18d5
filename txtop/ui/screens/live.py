"""The live screen, and the same with a transport for a replay: panels laid out for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from textual.app import ComposeResult
from textual.geometry import Size
from textual.widget import Widget

from txtop.ui.app_base import BaseApp
from txtop.ui.models import clipboard
from txtop.ui.models.cell_detail.detail import CellDetailView
from txtop.ui.models.layout import PanelLayout, arrange_ab, arrange_session
from txtop.ui.models.view import View
from txtop.ui.panels import machine
from txtop.ui.panels.ab_arm import ABArmPanel
from txtop.ui.panels.ab_divergence import ABDivergencePanel
from txtop.ui.panels.ab_verdict import ABVerdictPanel
from txtop.ui.panels.base import FramedPanel
from txtop.ui.panels.cell_detail.panel import CellDetailColumn, CellDetailPanel
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.filtered_list import FilteredListPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.panels.header import HeaderPanel
from txtop.ui.panels.hero import HeroPanel
from txtop.ui.panels.log import LogPanel
from txtop.ui.panels.machine import MachinePanel
from txtop.ui.panels.progress_rail import ProgressRailPanel
from txtop.ui.panels.tradeoffs.panel import TradeoffsPanel
from txtop.ui.panels.transport import TransportPanel
from txtop.ui.screens.panel_screen import PanelScreen

SessionMode = Literal["live", "replay"]
AB_NUMBER, TRADEOFFS_NUMBER = 2, 3
PANEL_NAMES = {1: "cells", TRADEOFFS_NUMBER: "tradeoffs", 4: "machine", 5: "log"}


class LiveScreen(PanelScreen):
    """Shows views."""

    def __init__(self, mode: SessionMode = "live", footer: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(footer)
        self.mode: SessionMode = mode
        self.view = View()
        self._shape: tuple[int, int, bool] = (4, 0, False)
        self._arm = 0
        self._back_to: Widget | None = None

    def compose(self) -> ComposeResult:
        yield HeaderPanel(id="header")
        yield (
            TransportPanel(id="transport")
            if self.mode == "replay"
            else ProgressRailPanel(id="rail")
        )
        yield HeroPanel(id="hero")
        yield ABVerdictPanel(id="verdict")
        yield ABArmPanel(id="lane-a")
        yield ABArmPanel(id="lane-b")
        yield ABDivergencePanel(id="difference")
        yield MachinePanel(id="machine")
        yield CellsPanel(id="cells")
        yield TradeoffsPanel(id="tradeoffs")
        yield LogPanel(id="log")
        for name in ("detail-strip", "detail-spread", "detail-load"):
            yield CellDetailPanel(id=name)
        yield CellDetailColumn(id="detail")
        yield FooterPanel(self._footer, id="footer")
        yield CompactPanel(self._footer, id="card")

    def arrange_panels(self, size: Size) -> PanelLayout:
        """The panels on show on a terminal of that size."""
        return self._plan(size, self._zoom if self.view.detail is None else "detail")

    def _plan(self, size: Size, zoom: str) -> PanelLayout:
        rows, count, plots = self._shape
        if self.view.duel is not None:
            return arrange_ab(
                size.width,
                size.height,
                replay=self.mode == "replay",
                machine_rows=rows,
                zoom=zoom,
            )
        return arrange_session(
            size.width,
            size.height,
            replay=self.mode == "replay",
            machine_rows=rows,
            cells=count,
            zoom=zoom,
            tradeoffs=plots,
        )

    def show(self, view: View) -> None:
        """Draws what is new in `view`, on the panels that are on show."""
        if view.duel is not None:
            view = replace(view, duel=view.duel.choose(self._arm))
        rows = machine.compute_small_height(view.machine)
        shape = (rows, len(view.cells), bool(view.tradeoffs.plots))
        changed = shape != self._shape or (view.duel is None) != (self.view.duel is None)
        before = self.view.detail
        turned = (view.detail is None) != (before is None)
        self.view = view
        if changed or turned:
            self._shape = shape
            self._lay_out()
        self._distribute_views(("", view))
        if turned:
            self._follow_detail(before)
        if (
            self.focused is not None
            and self.focused.id not in self.arrange_panels(self.size).places
        ):
            self.set_focus(None)

    def next_arm(self) -> None:
        """Puts the next comparison of an A/B on show."""
        self._arm += 1
        self.show(self.view)

    def _follow_detail(self, closed: CellDetailView | None) -> None:
        """Gives the focus to a detail that has come, or back to where it was."""
        if closed is None:
            self._back_to = self.focused
            self.set_focus(self.query_one(CellDetailColumn))
            return
        if isinstance(self._back_to, CellsPanel):
            self._back_to.go_to(closed.id)
        self.set_focus(self._back_to)
        self._back_to = None

    @property
    def at_cursor(self) -> str:
        """The id of the cell under the cursor; without one, of the cell that is on show."""
        chosen = getattr(self.focused, "selected", None)
        rows = self.view.cells
        return chosen or (rows[max(0, self.view.position - 1)].id if rows else "")

    @property
    def panel_now(self) -> str:
        return "detail" if self.view.detail is not None else super().panel_now

    def get_neighbour(self, direction: int) -> str:
        """The id of the cell after the one whose detail is on show, or before it, as the table has
        them."""
        if self.view.detail is None:
            return ""
        names = [row.id for row in self.query_one(CellsPanel).rows]
        if self.view.detail.id not in names:
            names = [row.id for row in self.view.cells]
        if self.view.detail.id not in names:
            return ""
        at = names.index(self.view.detail.id) + direction
        return names[max(0, min(at, len(names) - 1))]

    def panel(self, number: int) -> None:
        """Gives a panel the focus; where it is small or hidden, all the room, and back again."""
        if number == AB_NUMBER:
            self.back()
            return
        name = PANEL_NAMES.get(number)
        if name is None:
            return
        if self.view.duel is not None:
            self._set_zoom("" if self._zoom == name else name)
            self.set_focus(self.query_one(f"#{name}", FramedPanel) if self._zoom else None)
            return
        plan = self._plan(self.size, "")
        focused = self.focused is not None and self.focused.id == name
        hidden = name not in plan.places
        if not plan.boxed or hidden or (focused and not self._zoom):
            self._set_zoom("" if self._zoom == name else name)
        elif self._zoom:
            self._set_zoom("")
        if not self._zoom and (hidden or not plan.boxed):
            self.set_focus(None)
        else:
            self.query_one(f"#{name}", FramedPanel).focus()

    def next_plot(self) -> str:
        """Puts the next plot of the trade-offs on show, opening them first; returns why not."""
        if "tradeoffs" not in self.arrange_panels(self.size).places:
            self.panel(TRADEOFFS_NUMBER)
            return ""
        return self.query_one(TradeoffsPanel).next_plot()

    def on_keys_changed(self) -> None:
        self._tell_keys()

    def on_descendant_focus(self) -> None:
        self._tell_keys()

    def on_descendant_blur(self) -> None:
        self._tell_keys()

    def _tell_keys(self) -> None:
        if isinstance(self.app, BaseApp):
            self.app.update_footer()

    def _focus_panel(self, name: str) -> bool:
        """Whether a panel is on show and has the focus now; on the card, and in the detail of a
        cell, none has."""
        places = self.arrange_panels(self.size).places
        if "card" in places or self.view.detail is not None:
            return False
        if name not in places:
            self._set_zoom(name)
        self.query_one(f"#{name}", FramedPanel).focus()
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

    def chosen(self) -> tuple[str, list[str]] | None:
        if self.panel_now == "log":
            lines = clipboard.format_log_rows(self.query_one(LogPanel).in_sight)
            return f"{len(lines)} lines of the log", lines
        if self.view.detail is not None:
            name: str | None = self.view.detail.id
        elif self.panel_now == "tradeoffs":
            name = self.query_one(TradeoffsPanel).selected
        else:
            name = self.query_one(CellsPanel).selected
        row = next((each for each in self.view.cells if each.id == name), None)
        if row is None:
            return None
        return f"{row.model} {row.precision} batch {row.batch}", [clipboard.format_cell_row(row)]

    def back(self) -> bool:
        """Leaves the words of a list, then the zoom, then the focus; False when there is nothing
        to leave."""
        if isinstance(self.focused, FilteredListPanel) and self.focused.clear():
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
