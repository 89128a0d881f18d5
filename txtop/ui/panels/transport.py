"""The transport of a replay: its position in the recording."""

from __future__ import annotations

from textual import events
from textual.message import Message

from txtop import formatting
from txtop.state.cell import FAILED_STATUSES
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_text
from txtop.ui.models.view import Playback
from txtop.ui.panels.base import Panel

LEFT_WIDTH = 20
RIGHT_WIDTH = 8


def render_transport(playback: Playback, area: Area) -> list[Row]:
    """Render the time rail, under it the names of the cells, and the caption in the last row."""
    g = area.glyphs
    room = max(1, area.width - LEFT_WIDTH - RIGHT_WIDTH)
    rows = [
        [
            (f" {g(_choose_mark(playback))} ", "accent-a.bold"),
            (fit(f"{playback.speed:g}x", 6), "text.bold"),
            (fit(formatting.format_clock(playback.position_ns), 11), "text"),
            *_render_line(playback, room, g),
            (fit(formatting.format_clock(playback.duration_ns), RIGHT_WIDTH - 1, "right"), "muted"),
        ]
    ]
    if area.height > 1 + bool(playback.caption):
        remark = " idle time skipped" if playback.shortened else ""
        rows.append([(fit(remark, LEFT_WIDTH), "muted"), *_render_names(playback, room)])
    if playback.caption and area.height > 1:
        text = cut(clean(playback.caption), max(0, area.width - 3), g("…"))
        rows.append([(f" {g('▸')} ", "accent-b"), (text, "text.bold")])
    return [crop(row, area.width) for row in rows]


def find_transport_time(playback: Playback, width: int, x: int) -> int | None:
    """Return the time in ns at column `x`; `None` beside the rail.

    A column that shows the beginning of a cell or a marker is exactly that.
    """
    room = max(1, width - LEFT_WIDTH - RIGHT_WIDTH)
    column = x - LEFT_WIDTH
    if not 0 <= column < room:
        return None
    for at_ns in (*playback.markers, *(start for start, _, _ in playback.cells)):
        if _compute_column(at_ns, playback, room) == column:
            return at_ns
    return column * playback.duration_ns // max(1, room - 1)


def _choose_mark(playback: Playback) -> str:
    if not playback.playing:
        return "‖"
    return "◂" if playback.backwards else "▸"


def _compute_column(at_ns: int, playback: Playback, room: int) -> int:
    if playback.duration_ns <= 0:
        return 0
    return min(room - 1, max(0, at_ns * (room - 1) // playback.duration_ns))


def _render_line(playback: Playback, room: int, g: Glyphs) -> Row:
    here = _compute_column(playback.position_ns, playback, room)
    starts = [_compute_column(at, playback, room) for at, _, _ in playback.cells]
    line = [("━", "plot") if x < here else ("─", "border") for x in range(room)]
    for i, (_, _, status) in enumerate(playback.cells):
        if status in FAILED_STATUSES:
            end = starts[i + 1] if i + 1 < len(starts) else room
            for x in range(starts[i], max(end, starts[i] + 1)):
                line[x] = ("━" if x < here else "─", "bad")
    for x, (_, _, status) in list(zip(starts, playback.cells, strict=True))[1:]:
        glyph, role = ("┿", "plot") if x < here else ("┼", "muted")
        line[x] = (glyph, "bad" if status in FAILED_STATUSES else role)
    for at in playback.markers:
        line[_compute_column(at, playback, room)] = ("◆", "warn")
    line[here] = ("●", "accent-a.bold")
    return [(g(glyph), role) for glyph, role in line]


def _render_names(playback: Playback, room: int) -> Row:
    """Render the names that fit under their spans; the current one always."""
    spans = [(at, clean(name)) for at, name, _ in playback.cells]
    now = next(
        (i for i in range(len(spans) - 1, -1, -1) if spans[i][0] <= playback.position_ns), -1
    )
    free = [True] * room
    placed: list[tuple[int, str, str]] = []
    for i in sorted(range(len(spans)), key=lambda i: i != now):
        at, name = spans[i]
        start = _compute_column(at, playback, room)
        end = _compute_column(spans[i + 1][0], playback, room) if i + 1 < len(spans) else room
        wide = measure_text(name)
        if i == now:
            start = max(0, min(start, room - wide))
        elif wide >= end - start:
            continue
        if wide > room or not all(free[start : start + wide + 1]):
            continue
        free[max(0, start - 1) : start + wide + 1] = [False] * len(
            free[max(0, start - 1) : start + wide + 1]
        )
        placed.append((start, name, "text.bold" if i == now else "muted"))
    row: Row = []
    used = 0
    for start, name, role in sorted(placed):
        row += [(" " * (start - used), "text"), (name, role)]
        used = start + measure_text(name)
    return row


class TransportPanel(Panel):
    """The rows of a replay's transport, under the header; a click goes to that time."""

    class Seek(Message):
        """The request to go to a time."""

        def __init__(self, at_ns: int) -> None:
            super().__init__()
            self.at_ns = at_ns

    def on_click(self, event: events.Click) -> None:
        playback = self.view.playback
        if playback is None:
            return
        at_ns = find_transport_time(playback, self.size.width, event.x)
        if at_ns is not None:
            self.post_message(self.Seek(at_ns))

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.playback is None:
            return []
        return render_transport(self.view.playback, self.area(width, height))
