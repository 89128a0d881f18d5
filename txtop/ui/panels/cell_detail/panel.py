"""The panels of the detail as widgets; one of them scrolls."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.spans import Row
from txtop.ui.models.view import View
from txtop.ui.panels.base import MOVE_BINDINGS, FramedPanel
from txtop.ui.panels.cell_detail import render

WHEEL = 3
_RENDERERS: dict[str, Callable[..., list[Row]]] = {
    "detail-strip": render.render_iterations_panel,
    "detail-spread": render.render_histogram_panel,
    "detail-load": render.render_load_panel,
}


class CellDetailPanel(FramedPanel):
    """A part of the detail that has a place of its own on a large terminal, by its id."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.detail is None:
            return []
        build = _RENDERERS[self.id or ""]
        return build(self.shown.detail, width, height, glyphs.get_glyphs(), boxed=self.boxed)


class CellDetailColumn(FramedPanel, can_focus=True):
    """What scrolls: all of the detail on a small terminal, its words on a large one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVE_BINDINGS,
        Binding("tab", "screen.next_cell(1)", show=False),
        Binding("shift+tab", "screen.next_cell(-1)", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0

    def show(self, view: View) -> None:
        """Another cell is shown from its beginning."""
        before, now = self.shown.detail, view.detail
        if before is None or now is None or before.id != now.id:
            self._skip = 0
        super().show(view)

    def action_move(self, by: int) -> None:
        """Scrolls by so many rows, as far as there is something."""
        self._skip = max(0, self._skip + by)
        self.tick()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(WHEEL)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-WHEEL)

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.detail is None:
            return []
        g = glyphs.get_glyphs()
        rows = render.build_column_rows(self.shown.detail, width, height, g, boxed=self.boxed)
        self._skip = min(self._skip, render.compute_max_skip(rows, width, height, boxed=self.boxed))
        return render.render_column(
            rows, self._skip, width, height, g, boxed=self.boxed, focused=self.has_focus
        )
