"""The trade-offs on a screen: which plot is on show, and which cell is under the cursor."""

from __future__ import annotations

from textual import events

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.spans import Row
from txtop.ui.models.view import View
from txtop.ui.panels.base import NavigablePanel
from txtop.ui.panels.tradeoffs.render import TradeoffsSelection, find_point, render_tradeoffs


class TradeoffsPanel(NavigablePanel):
    """In a corner the plot alone, with all the room a table beside it. With the focus, up and down
    move the cursor through the points, and a click puts it on one."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._plot: tuple[str, str] | None = None
        self._cell: str | None = None

    @property
    def selected(self) -> str | None:
        """The id of the cell under the cursor; null without one."""
        point = self._now().point
        return point.row.id if point is not None else None

    def show(self, view: View) -> None:
        """Draws nothing where nothing is new: figures of a cell that ended stay."""
        if view.tradeoffs == self.shown.tradeoffs:
            self.shown = view
        else:
            super().show(view)

    def _now(self) -> TradeoffsSelection:
        """A plot that was chosen stays, as long as it has points; else that of the cell at work."""
        found = self.shown.tradeoffs
        keys = [plot.key for plot in found.plots]
        at = keys.index(self._plot) if self._plot in keys else found.at
        return TradeoffsSelection(
            found,
            at,
            self._cursor(at) if self.has_focus else None,
            whole=self.size.width == self.app.size.width,
            focused=self.has_focus,
        )

    def _cursor(self, at: int) -> int | None:
        """Where the chosen cell is; without one, at the cell at work, else at the first."""
        if at >= len(self.shown.tradeoffs.plots):
            return None
        points = self.shown.tradeoffs.plots[at].points
        ids = [point.row.id for point in points]
        if self._cell in ids:
            return ids.index(self._cell)
        return next((i for i, point in enumerate(points) if point.running), 0)

    def next_plot(self) -> str:
        """Goes to the next plot that has data; says why there is none."""
        now = self._now()
        plots = now.all.plots
        if len(plots) < 2:
            return "; ".join(f"{title}: {why}" for title, why in now.all.absent)
        self._plot = plots[(now.at + 1) % len(plots)].key
        self.tick()
        return ""

    def action_move(self, by: int) -> None:
        """Moves the cursor by so many points, in the order of the table."""
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
        """Puts the cursor on the point that is meant."""
        now = self._now()
        at = find_point(
            now, *self.size, glyphs.get_glyphs(), boxed=self.boxed, x=event.x, y=event.y
        )
        if at is not None:
            self._choose(now, at)

    def build(self, width: int, height: int) -> list[Row]:
        return render_tradeoffs(self._now(), width, height, glyphs.get_glyphs(), boxed=self.boxed)
