"""The panels that are moved through: narrowed by words, cells in an order, the log by severity."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.frame import compute_inner_size
from txtop.ui.drawing.line_widget import Row
from txtop.ui.models import cell_sorting
from txtop.ui.models.cells import CellRow
from txtop.ui.models.view import LogRow, View
from txtop.ui.panels import cells, log
from txtop.ui.panels.base import KeysChanged, NavigablePanel
from txtop.ui.panels.narrowing import TextFilter


class FilteredListPanel(NavigablePanel):
    """A list that words narrow."""

    name_shown = ""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.words = TextFilter()

    @property
    def title(self) -> str:
        return self.words.title(self.name_shown)

    def begin(self) -> None:
        """From now on letters are words to look for."""
        self.words.typing = True
        self.focus()
        self.apply_filter()

    def clear(self) -> bool:
        """Shows all again; False where all was shown."""
        cleared = self.words.clear()
        if cleared:
            self.apply_filter()
        return cleared

    def apply_filter(self) -> None:
        """Other words, or none: draws what they leave."""
        self.tick()
        self.post_message(KeysChanged())

    def on_key(self, event: events.Key) -> None:
        if self.words.handle_key(event):
            event.stop()
            event.prevent_default()
            self.apply_filter()


class CellsPanel(FilteredListPanel):
    """The table; with the focus, up and down move a cursor through it."""

    name_shown = "cells"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._order = ""
        self._at: str | None = None
        self._first = 0

    @property
    def rows(self) -> list[CellRow]:
        """The cells that the words leave, in their order."""
        left: Sequence[CellRow] = self.shown.cells
        if self.words.text:
            left = [row for row in left if self.words.matches(cell_sorting.build_filter_text(row))]
        return cell_sorting.sort_rows(left, self._order)

    @property
    def chosen(self) -> CellRow | None:
        """The cell under the cursor; null without one."""
        rows = self.rows if self._at is not None else []
        return rows[self._index(rows)] if rows else None

    @property
    def selected(self) -> str | None:
        """Its id."""
        return self.chosen.id if self.chosen else None

    def _index(self, rows: Sequence[CellRow]) -> int:
        """Where the cursor is; on the first row when the words left its cell out."""
        return next((i for i, row in enumerate(rows) if row.id == self._at), 0)

    def next_order(self) -> None:
        """Orders the rows by the next column that tells them apart; then again as planned."""
        across, _ = compute_inner_size(*self.size, self.boxed)
        known = cell_sorting.find_sortable_columns(
            self.rows, cells.choose_columns(self.shown.cells, across).shown
        )
        self._order = cell_sorting.get_next_column(self._order, known)
        self._first = 0
        self.tick()

    def go_to(self, name: str) -> None:
        """Puts the cursor on the cell of that id, if it is there."""
        self._at = name if any(row.id == name for row in self.rows) else self._at

    def on_focus(self) -> None:
        running = self.shown.running
        rows = self.rows
        if self._at is None and running is not None:
            self._at = self.shown.cells[running].id
        if rows and self._at not in [row.id for row in rows]:
            self._at = rows[0].id
        self._first = cells.compute_first_row(len(rows), self._index(rows), self._room)
        self.tick()

    def on_blur(self) -> None:
        self._at = None
        self.words.typing = False
        self.tick()

    @property
    def _room(self) -> int:
        return max(1, compute_inner_size(*self.size, self.boxed)[1] - 1)

    def action_move(self, by: int) -> None:
        """Moves the cursor by so many rows."""
        rows = self.rows
        if rows:
            self._at = rows[max(0, min(self._index(rows) + by, len(rows) - 1))].id
        self.tick()

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on the row under the mouse."""
        rows = self.rows
        at = self._first + event.y - 2
        if event.y >= 2 and event.y - 2 < self._room and at < len(rows):
            self._at = rows[at].id
            self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        rows = self.rows
        cursor, running = None, None
        if self._at is not None and rows:
            cursor = self._index(rows)
            self._first = cells.scroll_to_row(self._first, cursor, len(rows), self._room)
        elif not self._order and self.shown.running is not None:
            now = self.shown.cells[self.shown.running].id
            running = next((i for i, row in enumerate(rows) if row.id == now), None)
        return cells.render_cells(
            rows,
            running,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
            cursor=cursor,
            first=None if cursor is None else self._first,
            every=self.shown.cells,
            order=self._order,
            title=self.title,
        )


class LogPanel(FilteredListPanel):
    """The log, newest first; with the focus, down goes back in time, and stays there."""

    name_shown = "log"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0
        self._least = ""

    def show(self, view: View) -> None:
        new = view.log_count - self.shown.log_count
        if new < 0:
            self._skip = 0
        elif self._skip:
            self._skip += len(log.filter_log(view.log[:new], self.words, self._least))
        super().show(view)

    @property
    def lines(self) -> list[LogRow]:
        """What the words and the severity leave."""
        return log.filter_log(self.shown.log, self.words, self._least)

    @property
    def in_sight(self) -> list[LogRow]:
        """Those of them that are on show."""
        return self.lines[self._skip :][: compute_inner_size(*self.size, self.boxed)[1]]

    def next_severity(self) -> None:
        """All lines, warnings and errors, errors alone."""
        self._least = log.SEVERITIES[(log.SEVERITIES.index(self._least) + 1) % len(log.SEVERITIES)]
        self.apply_filter()

    def clear(self) -> bool:
        had, self._least = bool(self._least), ""
        return super().clear() or had

    def apply_filter(self) -> None:
        self._skip = 0
        super().apply_filter()

    def on_blur(self) -> None:
        self.words.typing = False
        self.tick()

    def action_move(self, by: int) -> None:
        """Leaves out so many more of the newest lines."""
        most = len(self.lines) - compute_inner_size(*self.size, self.boxed)[1]
        self._skip = max(0, min(self._skip + by, most))
        self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        return log.render_log(
            self.lines,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
            skip=self._skip,
            every=len(self.shown.log),
            least=self._least,
            title=self.title,
        )
