"""The widgets of the cell detail; one of them scrolls."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row
from txtop.ui.models.cell_detail.detail import CellDetailView
from txtop.ui.models.view import View
from txtop.ui.panels.base import MOVE_BINDINGS, FramedPanel
from txtop.ui.panels.cell_detail import render

WHEEL = 3
_RENDERERS: dict[str, Callable[[CellDetailView, Area], list[Row]]] = {
    "detail-iterations": render.render_iterations_panel,
    "detail-histogram": render.render_histogram_panel,
    "detail-load": render.render_load_panel,
}


class CellDetailPanel(FramedPanel):
    """A part of the detail with a place of its own on a large terminal, chosen by its id."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.detail is None:
            return []
        build = _RENDERERS[self.id or ""]
        return build(self.view.detail, self.area(width, height))


class CellDetailColumn(FramedPanel, can_focus=True):
    """The scrolling part: the whole detail on a small terminal, its text on a large one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVE_BINDINGS,
        Binding("tab", "screen.next_cell(1)", show=False),
        Binding("shift+tab", "screen.next_cell(-1)", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0

    def show(self, view: View) -> None:
        """Take a view; another cell starts at the top."""
        before, now = self.view.detail, view.detail
        if before is None or now is None or before.id != now.id:
            self._skip = 0
        super().show(view)

    def action_move(self, by: int) -> None:
        """Scroll by `by` rows, within the content."""
        self._skip = max(0, self._skip + by)
        self.tick()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(WHEEL)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-WHEEL)

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.detail is None:
            return []
        area = self.area(width, height)
        rows = render.build_column_rows(self.view.detail, area)
        self._skip = min(self._skip, render.compute_max_skip(rows, area))
        return render.render_column(rows, self._skip, area)
