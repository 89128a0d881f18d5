"""Requests of a serving cell: a row of counts, a bar for each running request, then the
answered."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit, measure_row
from txtop.ui.models.requests import RequestsView, RunningRequestView

MIN_BAR_WIDTH, MAX_BAR_WIDTH = 4, 24
MIN_FIELD_WIDTH, MAX_FIELD_WIDTH = 14, 44
GAP = 2


def render_requests(view: RequestsView, area: Area) -> list[Row]:
    """Render `area.height` rows of at most `area.width` columns."""
    g = area.glyphs
    if area.height <= 0:
        return []
    if not view.told:
        waits = "waiting for the first request"
        return [[(waits if area.width >= len(waits) else "no request yet", "muted")]]
    rows = [
        render_request_counts(view, area.width, g),
        *_render_fields(view, area.width, area.height - 1, g),
    ]
    return [crop(row, area.width) for row in rows]


def render_request_counts(view: RequestsView, width: int, g: Glyphs) -> Row:
    """Render `waiting 12   running 6 of 8 ━━━━━━──   answered 23 of 40`, abbreviated if narrow."""
    done = "warm-up" if view.warm else "answered"
    waiting, running = str(view.waiting), str(len(view.running))
    long = _render_pairs(
        ("waiting ", waiting.rjust(len(str(view.requests)))),
        ("   running ", f"{running.rjust(len(str(view.slots)))} of {view.slots}"),
        (f"   {done} ", f"{view.answered} of {view.requests}"),
    )
    room = width - measure_row(long) - 1
    if room >= MIN_BAR_WIDTH:
        bar = charts.draw_bar(len(view.running) / max(1, view.slots), min(room, MAX_BAR_WIDTH), g)
        return [*long[:4], (" ", "text"), *bar, *long[4:]]
    if room >= -1:
        return long
    short = _render_pairs(
        ("wait ", waiting),
        ("  run ", f"{running}/{view.slots}"),
        ("  warm-up " if view.warm else "  done ", f"{view.answered}/{view.requests}"),
    )
    return short if measure_row(short) <= width else short[:4]


def _render_pairs(*pairs: tuple[str, str]) -> Row:
    return [part for label, value in pairs for part in ((label, "muted"), (value, "text.bold"))]


def _render_fields(view: RequestsView, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render the running requests in as few columns as hold them all, then the answered ones."""
    if height <= 0:
        return []
    most = max(1, (width + GAP) // (MIN_FIELD_WIDTH + GAP))
    columns = min(most, max(1, -(-len(view.running) // height)))
    wide = (width + GAP) // columns - GAP
    if columns == 1 and wide > MAX_FIELD_WIDTH:
        columns = max(1, (width + GAP) // (MAX_FIELD_WIDTH + GAP))
        wide = (width + GAP) // columns - GAP
    places = columns * height
    role = "muted" if view.warm else "accent-a"
    fields = [_render_running(request, wide, role, g) for request in view.running]
    if len(fields) > places:
        hidden = len(fields) - places + 1
        fields[places - 1 :] = [[(f"+{hidden} more", "muted")]]
    fields += [
        _render_answered(*answered, wide, g) for answered in view.newest[: places - len(fields)]
    ]
    rows: list[Row] = []
    for y in range(height):
        row: Row = []
        for field in fields[y::height] if columns > 1 else fields[y : y + 1]:
            row += [*crop(field, wide), (" " * GAP, "text")]
        rows.append(row)
    return rows


def _render_running(request: RunningRequestView, width: int, role: str, g: Glyphs) -> Row:
    """Render `#17 ━━━━━━━──── 9/16`; `▸ #17` if no tokens are generated."""
    number = fit(f"#{request.number}", max(4, len(str(request.number)) + 1))
    if not request.wanted:
        return [(f"{g('▸')} ", role), (number, "text")]
    has = f"{request.done}/{request.wanted}"
    tail = max(len(has), 2 * len(str(request.wanted)) + 1)
    room = max(1, width - len(number) - tail - 2)
    bar = charts.draw_bar(request.done / request.wanted, room, g, role)
    return [(f"{number} ", "text"), *bar, (" " + fit(has, tail, "right"), "text")]


def _render_answered(number: int, took_ms: float, width: int, g: Glyphs) -> Row:
    """Render `✓ #12  412 ms`, in seconds where milliseconds have no room."""
    head: Row = [(f"{g('✓')} ", "ok"), (fit(f"#{number}", 4) + " ", "muted")]
    took = f"{formatting.format_ms(took_ms)} ms"
    if measure_row(head) + len(took) > width:
        took = f"{formatting.format_number(took_ms / 1000)} s"
    return [*head, (took, "muted")]
