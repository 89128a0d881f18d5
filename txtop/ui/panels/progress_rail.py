"""The progress rail under the header: one piece a cell, or a block of an A/B."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut
from txtop.ui.models.ab import ABView
from txtop.ui.models.view import Banner, RailCell
from txtop.ui.panels.base import ARM_ROLES, Panel

STATES_WORST_FIRST = ("running", "failed", "done", "skipped", "waiting")


def render_ab_rail(view: ABView, width: int, g: Glyphs) -> list[Row]:
    """Render one piece a block in the colour of its winner; the newest if they do not all fit."""
    room = width - 2
    if room < 1:
        return [[]]
    count = max(view.first_look, len(view.winners) + bool(view.left))
    most = max(1, room // 3)
    first = max(0, count - most)
    count -= first
    row: Row = [(" ", "text")]
    for i in range(count):
        wide = (i + 1) * (room + 1) // count - i * (room + 1) // count - 1
        row += [*_render_block(view, i + first, wide, g), (" ", "text")]
    return [crop(row, width)]


def _render_block(view: ABView, i: int, width: int, g: Glyphs) -> Row:
    if i < len(view.winners):
        winner = view.winners[i]
        if not winner:
            return [(g("╌") * width, "bad")]
        role = "text" if winner == "=" else ARM_ROLES[0 if winner == "A" else 1]
        return [(g("━") * width, role)]
    done = round(view.share * width) if i == len(view.winners) else 0
    return [(g("━") * done, "text"), (g("─") * (width - done), "border")]


def render_rail(
    cells: Sequence[RailCell], banner: Banner | None, width: int, g: Glyphs
) -> list[Row]:
    """Render one piece a cell; a problem with the recording takes the whole row."""
    if banner is not None:
        text = cut(clean(f"{g('▲')} {banner.text}"), max(0, width - 2), g("…"))
        return [[(" ", "text"), (text, f"{banner.level}.bold")]]
    room, count = width - 2, len(cells)
    if room < 1 or not count:
        return [[]]
    gap = _compute_gap(room, count)
    row: Row = [(" ", "text")]
    if count > room:
        for x in range(room):
            group = cells[x * count // room : max((x + 1) * count // room, x * count // room + 1)]
            row += _render_rail_cell(
                min(group, key=lambda cell: STATES_WORST_FIRST.index(cell.state)), 1, g
            )
        return [row]
    for i, cell in enumerate(cells):
        wide = (i + 1) * (room + gap) // count - i * (room + gap) // count - gap
        row += [*_render_rail_cell(cell, wide, g), (" " * gap, "text")]
    return [row]


def find_rail_cell(count: int, width: int, x: int) -> int | None:
    """Return the index of the cell at column `x`, of `count`; `None` beside the rail.

    Where there are more cells than columns it is the first of those in that column.
    """
    room, column = width - 2, x - 1
    if not 0 <= column < room or not count:
        return None
    if count > room:
        return column * count // room
    gap = _compute_gap(room, count)
    ends = ((i + 1) * (room + gap) // count for i in range(count))
    return next((i for i, end in enumerate(ends) if column < end), None)


def _compute_gap(room: int, count: int) -> int:
    return 1 if room >= 4 * count else 0


def _render_rail_cell(cell: RailCell, width: int, g: Glyphs) -> Row:
    if cell.state == "running":
        done = min(width, round(cell.share * width))
        return [(g("━") * done, "accent-a"), (g("─") * (width - done), "muted")]
    glyph, role = {
        "done": ("━", "plot"),
        "failed": ("╌", "bad"),
        "skipped": ("╌", "muted"),
    }.get(cell.state, ("─", "border"))
    return [(g(glyph) * width, role)]


class ProgressRailPanel(Panel):
    """The second row of a run's screen; a click opens the cell."""

    class OpenCell(Message):
        """The request to open the detail of a cell."""

        def __init__(self, cell: str) -> None:
            super().__init__()
            self.cell = cell

    def on_click(self, event: events.Click) -> None:
        rows = self.view.cells
        at = find_rail_cell(len(rows), self.size.width, event.x)
        if at is not None and self.view.ab is None and self.view.banner is None:
            self.post_message(self.OpenCell(rows[at].id))

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.ab is not None and self.view.banner is None:
            return render_ab_rail(self.view.ab, width, glyphs.get_glyphs())
        return render_rail(self.view.rail, self.view.banner, width, glyphs.get_glyphs())
