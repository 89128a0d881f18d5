"""Where a replay stands in its recording."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_text
from txtop.ui.models.view import Playback
from txtop.ui.panels.base import Panel

LEFT_WIDTH = 20
RIGHT_WIDTH = 8
FAILED_STATUSES = ("oom", "failed", "timeout", "rejected")


def render_transport(shown: Playback, width: int, height: int, g: Glyphs) -> list[Row]:
    """The rail of time, and with a second row the names of the cells under it."""
    room = max(1, width - LEFT_WIDTH - RIGHT_WIDTH)
    rows = [
        [
            (f" {g(_choose_mark(shown))} ", "accent-a.bold"),
            (fit(f"x{shown.speed:g}", 5), "text.bold"),
            (fit(formatting.format_clock(shown.position_ns), 12), "text"),
            *_render_line(shown, room, g),
            (fit(formatting.format_clock(shown.duration_ns), RIGHT_WIDTH - 1, "right"), "muted"),
        ]
    ]
    if height > 1:
        said = " idle time skipped" if shown.shortened else ""
        rows.append([(fit(said, LEFT_WIDTH), "muted"), *_render_names(shown, room)])
    return [crop(row, width) for row in rows]


def _choose_mark(shown: Playback) -> str:
    if not shown.playing:
        return "‖"
    return "◂" if shown.backwards else "▸"


def _compute_column(at_ns: int, shown: Playback, room: int) -> int:
    if shown.duration_ns <= 0:
        return 0
    return min(room - 1, max(0, at_ns * (room - 1) // shown.duration_ns))


def _render_line(shown: Playback, room: int, g: Glyphs) -> Row:
    here = _compute_column(shown.position_ns, shown, room)
    starts = [_compute_column(at, shown, room) for at, _, _ in shown.cells]
    line = [("━", "plot") if x < here else ("─", "border") for x in range(room)]
    for i, (_, _, status) in enumerate(shown.cells):
        if status in FAILED_STATUSES:
            end = starts[i + 1] if i + 1 < len(starts) else room
            for x in range(starts[i], max(end, starts[i] + 1)):
                line[x] = ("━" if x < here else "─", "bad")
    for x, (_, _, status) in list(zip(starts, shown.cells, strict=True))[1:]:
        glyph, role = ("┿", "plot") if x < here else ("┼", "muted")
        line[x] = (glyph, "bad" if status in FAILED_STATUSES else role)
    for at in shown.markers:
        line[_compute_column(at, shown, room)] = ("◆", "warn")
    line[here] = ("●", "accent-a.bold")
    return [(g(glyph), role) for glyph, role in line]


def _render_names(shown: Playback, room: int) -> Row:
    """Each name under its span, those that do not fit left out; the current one always."""
    spans = [(at, clean(name)) for at, name, _ in shown.cells]
    now = next((i for i in range(len(spans) - 1, -1, -1) if spans[i][0] <= shown.position_ns), -1)
    free = [True] * room
    placed: list[tuple[int, str, str]] = []
    for i in sorted(range(len(spans)), key=lambda i: i != now):
        at, name = spans[i]
        start = _compute_column(at, shown, room)
        end = _compute_column(spans[i + 1][0], shown, room) if i + 1 < len(spans) else room
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
    """Rows 1 and 2 of a replay."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.playback is None:
            return []
        return render_transport(self.shown.playback, width, height, glyphs.get_glyphs())
