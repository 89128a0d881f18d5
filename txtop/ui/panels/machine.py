"""The machine beside the measurement: rates as sparks, capacities as bars."""

from __future__ import annotations

from txtop.ui.drawing import charts
from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, clean, crop, fit
from txtop.ui.models.machine import MBU, OTHERS, Gauge, Gpu, Machine, Roof

LABEL, VALUE, UNIT, GAP = 6, 5, 5, 2
HEAD = LABEL + VALUE + UNIT + GAP
CAPACITY = 5


def machine(
    shown: Machine,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    title: str = "this machine",
) -> list[Row]:
    """The panel with its frame."""
    across, down = inside(width, height, boxed)
    body = _columns(shown, across, down, g) if not boxed and down < 6 else []
    subtitle: Row = [(shown.title, "muted")] if shown.title else []
    return framed(
        title,
        subtitle,
        body or machine_rows(shown, across, down, g),
        width,
        height,
        g,
        boxed=boxed,
        focused=focused,
    )


def small_height(shown: Machine) -> int:
    """Rows that the panel wants on a small terminal, heading included; the same before and after
    the first token."""
    watched = [each for each in shown.host if each.label != MBU]
    return 4 if shown.gpus or len(watched) > 2 else 3


def machine_rows(shown: Machine, width: int, height: int, g: Glyphs) -> list[Row]:
    """One row a gauge, blank rows between devices where there is room for them, and what bounds the
    cell."""
    if not shown.host and not shown.gpus:
        return [[], [("no sample yet", "muted")]]
    host = [gauge(each, width, g) for each in shown.host]
    full = [_gpu(each, width, g) for each in shown.gpus]
    airy = [[], *host, *(row for rows in full for row in ([], *rows[:-1], [], rows[-1]))]
    tight = [*host, *(row for rows in full for row in rows)]
    under = roof(shown.roof, width) if shown.roof else []
    apart: list[Row] = [[]] if under and not full else []
    short = [_gpu_line(each, width, g) for each in shown.gpus]
    for rows in (
        [*airy, *apart, *under],
        [*tight, *under],
        airy,
        tight,
        [*host, *short, *(([], *under) if under else ())],
    ):
        if len(rows) <= height:
            return rows
    room = max(1, height - len(host))
    if len(short) > room:
        more: Row = [(f"{len(short) - room + 1} more", "muted")]
        short = [*short[: room - 1], more]
    return [*host, *short]


def roof(shown: Roof, width: int) -> list[Row]:
    """What bounds the cell and how near it comes, and what would lift it, in one row or two."""
    if shown.error:
        return [[(MBU, "muted"), ("  accounting error", "warn")]]
    if not shown.bound:
        return []
    if shown.bound == "neither":
        return [[("bound by ", "muted"), ("neither memory nor arithmetic", "text")]]
    first: Row = [
        ("bound by ", "muted"),
        (shown.bound, "text"),
        (f", {shown.share} % of {shown.source}", "muted"),
    ]
    if not shown.lift:
        return [first]
    second: Row = [("int8 would lift the ceiling ", "muted"), (shown.lift, "text")]
    joined: Row = [*first, ("; ", "muted"), *second]
    return [joined] if sum(cells(text) for text, _ in joined) <= width else [first, second]


def _columns(shown: Machine, width: int, height: int, g: Glyphs) -> list[Row]:
    """The host left, the first GPU right, the rest of what there is to say in one line."""
    if not shown.host and not shown.gpus:
        return [[("no sample yet", "muted")]]
    last: Row = []
    if not shown.gpus:
        rows = [gauge(each, width, g) for each in shown.host[:2]]
        last = _words(shown.host[2:])
        return [*rows, last][:height]
    half = (width - 2) // 2
    first = shown.gpus[0]
    left = [gauge(each, half, g) for each in shown.host[:2]]
    right = [gauge(each, width - half - 2, g) for each in first.gauges[:2]]
    rows = [
        [
            *crop(left[y] if y < len(left) else [], half),
            ("  ", "text"),
            *(right[y] if y < len(right) else []),
        ]
        for y in range(max(len(left), len(right)))
    ]
    return [*rows, [*_words((*shown.host[2:], *first.gauges[2:])), *_in_short(first, g)]]


def _words(gauges: tuple[Gauge, ...]) -> Row:
    """Gauges without a picture: `power  412 W`."""
    row: Row = []
    for each in gauges:
        row += [
            (f"{each.label} ", "muted"),
            (each.value, "text.bold"),
            (f" {each.unit}   ", "muted"),
        ]
    return row


def gauge(shown: Gauge, width: int, g: Glyphs) -> Row:
    """One row: label, value, unit, and what it was or what it is of."""
    row: Row = [
        (fit(shown.label, LABEL), "muted"),
        (fit(g(shown.value), VALUE, "right"), "text.bold"),
        (fit(f" {shown.unit}", UNIT + GAP), "muted"),
    ]
    room = width - HEAD
    if room < 4:
        return row
    if shown.share is not None:
        end = CAPACITY if shown.capacity else 0
        row += charts.bar(shown.share, room - end, g)
        row.append((fit(shown.capacity, end, "right"), "muted"))
    elif shown.history:
        row.append((charts.filled(shown.history, room, shown.top, g), "plot"))
    return row


def _gpu(shown: Gpu, width: int, g: Glyphs) -> list[Row]:
    own, others = (
        Gpu((), tuple(f for f in shown.facts if (f.label == OTHERS) is apart))
        for apart in (False, True)
    )
    rows = [*(gauge(each, width, g) for each in shown.gauges), _facts(own, "   ", g)]
    return [*rows, _facts(others, "   ", g)] if others.facts else rows


def _facts(shown: Gpu, gap: str, g: Glyphs) -> Row:
    row: Row = []
    for fact in shown.facts:
        if fact.bad:
            row.append((f"{g('▲')} {fact.value}", "warn.bold"))
        else:
            row.append((f"{fact.label} ", "muted"))
            row.append((fact.value, "text" if fact.value == "none" else "text.bold"))
        row.append(((f" {g(fact.unit)}" if fact.unit else "") + gap, "muted"))
    return row


def _in_short(shown: Gpu, g: Glyphs) -> Row:
    """The same without the labels that a unit makes needless, the throttle last."""
    measured = [fact for fact in shown.facts if fact.unit]
    row: Row = []
    for fact in reversed(measured):
        row += [(fact.value, "text.bold"), (f" {g(fact.unit)}   ", "muted")]
    others = tuple(fact for fact in shown.facts if not fact.unit)
    return [*row, *_facts(Gpu((), others), "   ", g)]


def _gpu_line(shown: Gpu, width: int, g: Glyphs) -> Row:
    """A whole GPU in one row, where there are many."""
    rate = next((each for each in shown.gauges if each.share is None), None)
    memory = next((each for each in shown.gauges if each.share is not None), None)
    tail: Row = []
    if memory is not None:
        tail = [
            (f"  {fit(g(memory.value), VALUE, 'right')}", "text.bold"),
            (f" of {memory.capacity} GiB", "muted"),
        ]
    tail += [(f"  {g('▲')} {fact.value}", "warn.bold") for fact in shown.facts if fact.bad]
    taken = sum(cells(clean(text)) for text, _ in tail)
    head = (
        gauge(rate, max(HEAD, width - taken), g)
        if rate is not None
        else [(fit("GPU", HEAD), "muted")]
    )
    return [*head, *tail]
