"""Requests on their lanes: a row that counts, a bar a running request, then who was answered."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit, row_width
from txtop.ui.models.requests import Lane, Lanes

LEAST_BAR, MOST_BAR = 4, 24
LEAST_LANE, MOST_LANE = 14, 44
GAP = 2


def rows(shown: Lanes, width: int, height: int, g: Glyphs) -> list[Row]:
    """`height` rows of at most `width` columns."""
    if height <= 0:
        return []
    if not shown.told:
        waits = "no request has come yet"
        return [[(waits if width >= len(waits) else "no request yet", "muted")]]
    found = [count(shown, width, g), *_fields(shown, width, height - 1, g)]
    return [crop(row, width) for row in found]


def count(shown: Lanes, width: int, g: Glyphs) -> Row:
    """`waiting 12   running 6 of 8 ━━━━━━──   answered 23 of 40`, in fewer words where it must."""
    done = "warm-up" if shown.warm else "answered"
    waiting, running = str(shown.waiting), str(len(shown.running))
    long = _counted(
        ("waiting ", waiting.rjust(len(str(shown.requests)))),
        ("   running ", f"{running.rjust(len(str(shown.slots)))} of {shown.slots}"),
        (f"   {done} ", f"{shown.answered} of {shown.requests}"),
    )
    room = width - row_width(long) - 1
    if room >= LEAST_BAR:
        bar = charts.bar(len(shown.running) / max(1, shown.slots), min(room, MOST_BAR), g)
        return [*long[:4], (" ", "text"), *bar, *long[4:]]
    if room >= -1:
        return long
    short = _counted(
        ("wait ", waiting),
        ("  run ", f"{running}/{shown.slots}"),
        ("  warm-up " if shown.warm else "  done ", f"{shown.answered}/{shown.requests}"),
    )
    return short if row_width(short) <= width else short[:4]


def _counted(*pairs: tuple[str, str]) -> Row:
    return [part for label, value in pairs for part in ((label, "muted"), (value, "text.bold"))]


def _fields(shown: Lanes, width: int, height: int, g: Glyphs) -> list[Row]:
    """Running requests in as few columns as hold them all, those that were answered after them."""
    if height <= 0:
        return []
    most = max(1, (width + GAP) // (LEAST_LANE + GAP))
    columns = min(most, max(1, -(-len(shown.running) // height)))
    wide = (width + GAP) // columns - GAP
    if columns == 1 and wide > MOST_LANE:
        columns = max(1, (width + GAP) // (MOST_LANE + GAP))
        wide = (width + GAP) // columns - GAP
    places = columns * height
    role = "muted" if shown.warm else "accent-a"
    fields = [_lane(lane, wide, role, g) for lane in shown.running]
    if len(fields) > places:
        hidden = len(fields) - places + 1
        fields[places - 1 :] = [[(f"+{hidden} more", "muted")]]
    fields += [_answered(*each, g) for each in shown.newest[: places - len(fields)]]
    found: list[Row] = []
    for y in range(height):
        row: Row = []
        for field in fields[y::height] if columns > 1 else fields[y : y + 1]:
            row += [*crop(field, wide), (" " * GAP, "text")]
        found.append(row)
    return found


def _lane(lane: Lane, width: int, role: str, g: Glyphs) -> Row:
    """`#17 ━━━━━━━──── 9/16`; `▸ #17` where no tokens are made."""
    number = fit(f"#{lane.number}", max(4, len(str(lane.number)) + 1))
    if not lane.wanted:
        return [(f"{g('▸')} ", role), (number, "text")]
    has = f"{lane.done}/{lane.wanted}"
    tail = max(len(has), 2 * len(str(lane.wanted)) + 1)
    room = max(1, width - len(number) - tail - 2)
    bar = charts.bar(lane.done / lane.wanted, room, g, role)
    return [(f"{number} ", "text"), *bar, (" " + fit(has, tail, "right"), "text")]


def _answered(number: int, took_ms: float, g: Glyphs) -> Row:
    """`✓ #12 412 ms`."""
    return [
        (f"{g('✓')} ", "ok"),
        (fit(f"#{number}", 4) + " ", "muted"),
        (f"{formatting.ms(took_ms)} ms", "muted"),
    ]
