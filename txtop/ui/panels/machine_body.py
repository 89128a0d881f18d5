"""The parts of the machine's panel: host, cores, GPUs, the model's process, other processes.

Parts stand one above the other, or in two columns. Rows that are short go to the parts in the order
of their rank; rows that are left make the histories higher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import (
    Row,
    clean,
    crop,
    cut,
    fit,
    join_blocks,
    measure_row,
    measure_text,
)
from txtop.ui.models.machine import Fact, Gauge, MachineView
from txtop.ui.models.machine_detail import BusyProcess, MachineDetailView
from txtop.ui.panels import machine_cores, machine_gpus
from txtop.ui.panels.machine_cores import render_heading
from txtop.ui.panels.machine_gauge import (
    NO_READING,
    render_facts,
    render_gauges,
    render_roofline,
    wrap_facts,
)

SIDE_BY_SIDE_FROM = 100
GAP_WIDTH = 3
MAX_NAME_WIDTH, MIN_NAME_WIDTH = 40, 6
# Rows of the processes that use the processor, heading included, be there any or not: nothing
# around them is to move when one begins.
BUSY_ROWS = 4
# From here on the host alone leaves rows free that its cores have use for.
BESIDE_FROM = 24
# One column that is lower is needed for histories.
BUSY_FROM = 18
MAX_BUSY_BAR, BUSY_VALUE_WIDTH, PID_WIDTH = 16, 5, 12
# The ranks of parts: a lower one gets its rows first.
HOST, GPUS, BOUND, CORES, WORK, FOREIGN, BUSY = range(7)
# The order in which they stand, and the one in which rows that are left make them higher.
DOWN = (HOST, CORES, BUSY, GPUS, WORK, BOUND, FOREIGN)
GROWTH = (GPUS, CORES, HOST)


@dataclass(frozen=True)
class Part:
    """A part of the panel, which `draw` renders in at most the given count of rows.

    It is left out where fewer than `least` rows are free; `wanted` rows show it well, and one that
    `grows` uses more.
    """

    rank: int
    least: int
    wanted: int
    draw: Callable[[int], list[Row]]
    grows: bool = False


def render_machine_body(view: MachineView, more: MachineDetailView, area: Area) -> list[Row]:
    """Render all that is read of the machine, in at most the rows of `area`."""
    if not view.host and not view.gpus:
        return [[], [(NO_READING, "muted")]][: max(1, area.height)]
    half = (area.width - GAP_WIDTH) // 2
    beside = area.width - half - GAP_WIDTH
    left, right = _list_parts(view, more, half, beside, area)
    if area.width >= SIDE_BY_SIDE_FROM and right:
        stacked = _stack_parts(left, area.height), _stack_parts(right, area.height)
        return join_blocks(*stacked, half, GAP_WIDTH)
    left, right = _list_parts(view, more, area.width, area.width, area)
    ordered = sorted([*left, *right], key=lambda part: DOWN.index(part.rank))
    return _stack_parts(ordered, area.height)


def _list_parts(
    view: MachineView, more: MachineDetailView, left: int, right: int, area: Area
) -> tuple[list[Part], list[Part]]:
    """List the parts of the two columns, which are `left` and `right` columns wide.

    Histories of the processor are equally wide, so that they are of the same time.
    """
    g = area.glyphs
    host = [_build_host_part(view, more, left, g)]
    cores = []
    if more.cores:
        wide = min(left, right)
        cores = [
            Part(
                CORES,
                machine_cores.MIN_ROWS,
                machine_cores.MIN_ROWS if view.gpus else 1 + min(len(more.cores), 8),
                lambda room: machine_cores.render_cores(more.cores, wide, room, g),
                grows=True,
            )
        ]
    facts = wrap_facts(view.work, left, g)
    work = [Part(WORK, 1, len(facts), lambda room: facts[:room])] if facts else []
    limits = render_roofline(view.roof, right if view.gpus else left) if view.roof else []
    bound = [Part(BOUND, 1, len(limits), lambda room: limits[:room])] if limits else []
    roomy = area.width >= SIDE_BY_SIDE_FROM or area.height >= BUSY_FROM
    busy = _build_busy_part(more, left if view.gpus else right, g) if roomy else []
    if not view.gpus:
        if area.height >= BESIDE_FROM:
            return [*host, *work, *bound, *busy], cores
        return [*host, *work, *bound], [*cores, *busy]
    blocks = machine_gpus.count_block_rows(view.gpus, right)
    # Beside the two rows of the host: in columns of their own there are none.
    fits = blocks + len(bound) + (0 if left < area.width else 2) <= area.height
    return [*host, *cores, *busy, *work], [
        Part(
            GPUS,
            blocks if fits else len(view.gpus),
            blocks + len(view.gpus) if fits else 2 * len(view.gpus),
            lambda room: machine_gpus.render_gpus(view.gpus, more.gpus, right, room, g),
            grows=True,
        ),
        *bound,
        *_build_foreign_part(more, right, g),
    ]


def _build_host_part(view: MachineView, more: MachineDetailView, width: int, g: Glyphs) -> Part:
    gauges = [*view.host]
    if more.swap is not None:
        gauges.insert(2, more.swap)
    least = min(2, len(gauges))
    rows = len(gauges) + bool(more.host)
    return Part(
        HOST,
        least,
        rows if view.gpus else rows + 1,
        lambda room: _render_host(gauges, more.host, width, room, g),
        grows=True,
    )


def _render_host(
    gauges: Sequence[Gauge], facts: Sequence[Fact], width: int, room: int, g: Glyphs
) -> list[Row]:
    below = [render_facts(facts, width, g)] if facts and room > len(gauges) else []
    return [*render_gauges(gauges, width, room - len(below), g), *below][:room]


def _build_foreign_part(more: MachineDetailView, width: int, g: Glyphs) -> list[Part]:
    if more.others is None:
        return []
    rows = 1 + len(more.others)
    return [
        Part(
            FOREIGN,
            1 if not more.in_run else 1 + min(2, len(more.others)),
            min(4, rows),
            lambda room: _render_foreign_processes(more, width, room, g),
            grows=True,
        )
    ]


def _build_busy_part(more: MachineDetailView, width: int, g: Glyphs) -> list[Part]:
    if more.busy is None:
        return []
    return [
        Part(
            BUSY, 2, BUSY_ROWS, lambda room: _render_busy_processes(more.busy or (), width, room, g)
        )
    ]


def _stack_parts(parts: Sequence[Part], height: int) -> list[Row]:
    """Share the rows: at least what each part needs, what shows it well, blank rows, the rest."""
    left = height
    rows = {}
    ranked = sorted(parts, key=lambda part: part.rank)
    for part in ranked:
        if part.least <= left or part.rank in (HOST, GPUS):
            rows[part.rank] = min(part.least, left)
            left -= rows[part.rank]
    for part in ranked:
        if part.rank in rows:
            more = min(left, max(0, part.wanted - rows[part.rank]))
            rows[part.rank] += more
            left -= more
    blank = len(rows) - 1 if left >= len(rows) - 1 else 0
    left -= blank
    drawn = {}
    order = [*(p.rank for p in ranked if p.rank not in GROWTH), *GROWTH]
    for part in sorted(ranked, key=lambda part: order.index(part.rank)):
        if rows.get(part.rank):
            drawn[part.rank] = part.draw(rows[part.rank] + (left if part.grows else 0))
            left -= len(drawn[part.rank]) - rows[part.rank]
    gap: list[Row] = [[]] if blank else []
    stacked: list[Row] = []
    for part in parts:
        if body := drawn.get(part.rank):
            stacked += [*(gap if stacked else []), *body]
    return stacked[:height]


def _render_busy_processes(
    processes: Sequence[BusyProcess], width: int, room: int, g: Glyphs
) -> list[Row]:
    """Render the processes that use most of the processor: cores used, a bar of all, the name."""
    remark = "cores used, over 3 s" if processes else "listed while they use a quarter of a core"
    rows: list[Row] = [render_heading("processes", remark)]
    bar = min(MAX_BUSY_BAR, max(0, width // 4))
    name = max(0, width - BUSY_VALUE_WIDTH - bar - 3 - PID_WIDTH)
    for process in processes[: room - 1]:
        rows.append(
            [
                (fit(process.cores, BUSY_VALUE_WIDTH, "right"), "text.bold"),
                (" ", "text"),
                *charts.draw_bar(process.share, bar, g),
                ("  ", "text"),
                (fit(cut(clean(process.name), name, g("…")) or g("—"), name), "text"),
                (fit(f"pid {process.pid}", PID_WIDTH, "right"), "muted"),
            ]
        )
    return [*rows, *([] for _ in range(room - len(rows)))][:room]


def render_holders(more: MachineDetailView, width: int, g: Glyphs) -> Row:
    """Render who holds the memory of the GPUs, the largest of each first, as many as fit; the name
    of the first is cut if need be."""
    row: Row = [("held by ", "muted")]
    for process in more.others or ():
        place = f" on GPU {process.gpu}" if len(more.gpus) > 1 else ""
        end: Row = [(f" {g(process.memory)}", "text.bold"), (f" GiB{place}", "muted")]
        gap: Row = [("   ", "muted")] if len(row) > 1 else []
        room = width - measure_row([*row, *gap, *end])
        name = cut(clean(process.name) or g("—"), MAX_NAME_WIDTH, g("…"))
        if len(row) == 1 and room >= MIN_NAME_WIDTH:
            name = cut(name, room, g("…"))
        if measure_text(name) > room:
            break
        row += [*gap, (name, "text"), *end]
    return row if len(row) > 1 else []


def _render_foreign_processes(
    more: MachineDetailView, width: int, room: int, g: Glyphs
) -> list[Row]:
    """Render the processes of others on the GPUs, and an explicit line if there are none."""
    if room < 1 or more.others is None:
        return []
    if not more.others:
        return [render_heading("other processes", "none on these GPUs")]
    if room == 1:
        return [crop(render_holders(more, width, g), width)]
    whose = ("other processes", "on these GPUs, not of this run")
    heading = whose if more.in_run else ("processes", "memory held on these GPUs")
    rows: list[Row] = [render_heading(*heading)]
    named = min(MAX_NAME_WIDTH, max(8, width - 34))
    for process in more.others:
        rows.append(
            [
                (f"GPU {process.gpu}  ", "muted"),
                (fit(str(process.pid), 8, "right") + "  ", "text"),
                (fit(cut(clean(process.name), named, g("…")) or g("—"), named), "text"),
                (fit(g(process.memory), 7, "right"), "text.bold"),
                (" GiB", "muted"),
            ]
        )
    if len(rows) > room:
        hidden = len(rows) - room + 1
        rows = [*rows[: room - 1], [(f"{hidden} more", "muted")]]
    return rows[:room]
