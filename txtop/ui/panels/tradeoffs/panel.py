"""The trade-offs panel: it keeps the chosen plot and the cell under the cursor."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing.spans import Row
from txtop.ui.models.view import View
from txtop.ui.panels.base import NavigablePanel
from txtop.ui.panels.tradeoffs.render import TradeoffsSelection, find_point, render_tradeoffs


class TradeoffsPanel(NavigablePanel):
    """The plot in a corner, or zoomed with a table beside it.

    While it has the focus, up and down move the cursor through the points; a click moves it to a
    point.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._plot: tuple[str, str] | None = None
        self._cell: str | None = None

    @property
    def selected(self) -> str | None:
        """The id of the cell under the cursor, or None without a cursor."""
        point = self._now().point
        return point.row.id if point is not None else None

    def show(self, view: View) -> None:
        """Take a view; skip drawing if its figures are unchanged, as they are once a cell has
        ended."""
        if view.tradeoffs == self.view.tradeoffs:
            self.view = view
        else:
            super().show(view)

    def _now(self) -> TradeoffsSelection:
        """Return the selection: the chosen plot while it has points, else that of the running
        cell."""
        view = self.view.tradeoffs
        keys = [plot.key for plot in view.plots]
        at = keys.index(self._plot) if self._plot in keys else view.at
        return TradeoffsSelection(
            view,
            at,
            self._cursor(at) if self.has_focus else None,
            zoomed=self.size.width == self.app.size.width,
        )

    def _cursor(self, at: int) -> int | None:
        """Return the index of the chosen cell, else of the running cell, else the first."""
        if at >= len(self.view.tradeoffs.plots):
            return None
        points = self.view.tradeoffs.plots[at].points
        ids = [point.row.id for point in points]
        if self._cell in ids:
            return ids.index(self._cell)
        return next((i for i, point in enumerate(points) if point.running), 0)

    def next_plot(self) -> str:
        """Switch to the next plot that has data; return the reason if there is none."""
        now = self._now()
        plots = now.all.plots
        if len(plots) < 2:
            return "; ".join(f"{title}: {why}" for title, why in now.all.absent)
        self._plot = plots[(now.at + 1) % len(plots)].key
        self.tick()
        return ""

    def action_move(self, by: int) -> None:
        """Move the cursor by `by` points, in the order of the table."""
        now = self._now()
        if now.plot is None or now.cursor is None:
            return
        at = max(0, min(now.cursor + by, len(now.plot.points) - 1))
        self._choose(now, at)

    def _choose(self, now: TradeoffsSelection, at: int) -> None:
        assert now.plot is not None
        self._plot, self._cell = now.plot.key, now.plot.points[at].row.id
        self.tick()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the point under the mouse."""
        now = self._now()
        at = find_point(now, self.area(*self.size), x=event.x, y=event.y)
        if at is not None:
            self._choose(now, at)

    def build(self, width: int, height: int) -> list[Row]:
        return render_tradeoffs(self._now(), self.area(width, height))
