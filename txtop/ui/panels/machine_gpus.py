"""The GPUs of the machine: a block of areas each, as far as there is room, else a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit, measure_row, measure_text
from txtop.ui.models.machine import MBU, Fact, Gauge, GpuView
from txtop.ui.panels.machine_gauge import (
    HEAD_WIDTH,
    render_facts,
    render_gauge,
    render_gauges,
    wrap_facts,
)

SPARK_WIDTH = 4
# The rank of a problem among the parts of a GPU's row, after its memory.
PROBLEM = 1
MIN_BLOCK_WIDTH = 40
GAP_WIDTH = 2
MAX_BLOCK_COLUMNS = 4
# Facts that have a history in a block.
IN_AREAS = ("clock", "temp", "clock at most", "power at most")


def count_block_rows(gpus: Sequence[GpuView], width: int) -> int:
    """Return the rows that show every GPU with all its areas and its problems."""
    lines = -(-len(gpus) // _count_columns(len(gpus), width))
    return lines * max(len(gpu.areas) + any(fact.bad for fact in gpu.facts) for gpu in gpus)


def _count_columns(count: int, width: int) -> int:
    """Return the columns of blocks that a width holds, not more than there are GPUs."""
    most = max(1, (width + GAP_WIDTH) // (MIN_BLOCK_WIDTH + GAP_WIDTH))
    return min(count, most, MAX_BLOCK_COLUMNS)


def render_gpus(
    gpus: Sequence[GpuView], more: Sequence[tuple[Fact, ...]], width: int, room: int, g: Glyphs
) -> list[Row]:
    """Render the GPUs in equal shares of the rows; in one row each if there are many."""
    columns = _count_columns(len(gpus), width)
    share = room // -(-len(gpus) // columns)
    if share and share >= max(len(gpu.areas) for gpu in gpus):
        return _render_blocks(gpus, more, columns, width, share, g)
    share = room // len(gpus)
    rows: list[Row] = []
    gpus = _align_mbu(gpus)
    for i, gpu in enumerate(gpus):
        rows += _render_rows(gpu, more[i] if i < len(more) else (), width, share, g)[:share]
    if share:
        return rows
    order = sorted(gpus, key=lambda gpu: not gpu.used)
    short = [_render_line(gpu, width, g) for gpu in order[: max(0, room - 1)]]
    return [*short, [(f"{len(gpus) - len(short)} more", "muted")]][:room]


def _render_blocks(
    gpus: Sequence[GpuView],
    more: Sequence[tuple[Fact, ...]],
    columns: int,
    width: int,
    share: int,
    g: Glyphs,
) -> list[Row]:
    """Render blocks of `share` rows, `columns` beside each other."""
    wide = (width - GAP_WIDTH * (columns - 1)) // columns
    rows: list[Row] = []
    for first in range(0, len(gpus), columns):
        line = range(first, min(first + columns, len(gpus)))
        blocks = [
            _render_block(
                gpus[i], more[i] if i < len(more) else (), wide, share, g, alone=len(gpus) == 1
            )
            for i in line
        ]
        for y in range(max(map(len, blocks))):
            row: Row = []
            for block in blocks:
                gap: Row = [(" " * GAP_WIDTH, "text")] if row else []
                row += [*gap, *crop(block[y] if y < len(block) else [], wide)]
            rows.append(row)
    return rows


def _render_block(
    gpu: GpuView, more: Sequence[Fact], width: int, room: int, g: Glyphs, *, alone: bool
) -> list[Row]:
    """Render everything that is read of one GPU: its areas, problems, then facts.

    MBU has an area where the GPU is `alone`: only one of several has it, and rows should match.
    """
    mbu = [gauge for gauge in gpu.gauges if gauge.label == MBU]
    bad = any(fact.bad for fact in gpu.facts)
    areas = [*gpu.areas, *(mbu if alone and room > len(gpu.areas) + bad else ())]
    areas = areas[: max(1, room - bad)]
    facts = [fact for fact in (*gpu.facts, *more) if fact.label not in IN_AREAS]
    if mbu and len(areas) == len(gpu.areas):
        facts = [Fact(MBU, mbu[0].value, mbu[0].unit), *facts]
    below = wrap_facts(_sort_bad_first(facts), width, g)[: max(0, room - len(areas))]
    return [*render_gauges(areas, width, room - len(below), g, used=gpu.used), *below]


def _align_mbu(gpus: Sequence[GpuView]) -> Sequence[GpuView]:
    """Give each GPU a place for MBU if one has it, so that rows of a table match."""
    if not any(gauge.label == MBU for gpu in gpus for gauge in gpu.gauges):
        return gpus
    blank = Gauge("", "", "")
    return [
        gpu
        if any(gauge.label == MBU for gauge in gpu.gauges)
        else replace(gpu, gauges=(*gpu.gauges, blank))
        for gpu in gpus
    ]


def _render_rows(gpu: GpuView, more: Sequence[Fact], width: int, room: int, g: Glyphs) -> list[Row]:
    """Render one GPU in fewer rows than it has readings."""
    if room < 2:
        return [_render_line(gpu, width, g)]
    gpu = _move_mbu_to_facts(gpu)
    if room > len(gpu.gauges):
        rows = render_gauges(gpu.gauges, width, len(gpu.gauges), g, used=gpu.used)
        return [*rows, render_facts([*_sort_bad_first(gpu.facts), *more], width, g)]
    here = [fact for fact in gpu.facts if fact.label == "temp"]
    rest = [fact for fact in _sort_bad_first(gpu.facts) if fact not in here]
    return [
        _render_line(replace(gpu, facts=tuple(here)), width, g),
        render_facts([*rest, *more], width, g),
    ]


def _shorten_problem(text: str, room: int) -> str:
    """Return as many of the words of `  ▲ 1 other here` as fit, at least its sign."""
    parts = text.split(" ")
    while len(parts) > 3 and measure_text(" ".join(parts)) > room:
        parts.pop()
    return " ".join(parts)


def _move_mbu_to_facts(gpu: GpuView) -> GpuView:
    """Move MBU from the gauges to the facts, so that rows match those of the other GPUs."""
    facts = tuple(
        Fact(gauge.label, gauge.value, gauge.unit) for gauge in gpu.gauges if gauge.label == MBU
    )
    gauges = tuple(gauge for gauge in gpu.gauges if gauge.label not in (MBU, ""))
    return replace(gpu, gauges=gauges, facts=(*facts, *gpu.facts))


def _sort_bad_first(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: not fact.bad)


def _render_line(gpu: GpuView, width: int, g: Glyphs) -> Row:
    """Render a GPU in one row: its load with the history, then as much as fits, memory and problems
    before power and temperature."""
    rate = next((gauge for gauge in gpu.gauges if gauge.share is None), None)
    parts: list[tuple[int, Row]] = []
    for gauge in gpu.gauges:
        if gauge.capacity:
            parts.append(
                (
                    0,
                    [
                        (fit(g(gauge.value), 6, "right"), "text.bold"),
                        (f"/{gauge.capacity} GiB", "muted"),
                    ],
                )
            )
        elif gauge.label not in (MBU, "") and gauge is not rate:
            value = (fit(g(gauge.value), 6, "right"), "text.bold")
            parts.append((2, [value, (f" {gauge.unit}", "muted")]))
    for fact in gpu.facts:
        if fact.label == "temp":
            parts.append((3, [(f"  {fact.value}", "text.bold"), (f" {g(fact.unit)}", "muted")]))
    for gauge in gpu.gauges:
        if gauge.label in (MBU, ""):
            name, value = (
                (f"  {gauge.label:3}", "muted"),
                (fit(gauge.value, 4, "right"), "text.bold"),
            )
            parts.append((2, [name, value, (f" {gauge.unit:1}", "muted")]))
    for fact in gpu.facts:
        if fact.bad:
            parts.append((PROBLEM, [(f"  {g('▲')} {fact.value}", "warn.bold")]))
    room = width - HEAD_WIDTH - SPARK_WIDTH
    kept = []
    for i in sorted(range(len(parts)), key=lambda i: parts[i][0]):
        rank, part = parts[i]
        if rank == PROBLEM and measure_row(part) > room:
            # A problem is never left out: its first words, or its sign.
            parts[i] = rank, [(_shorten_problem(part[0][0], room), part[0][1])]
        taken = measure_row(parts[i][1])
        if taken <= room:
            kept.append(i)
            room -= taken
    tail: Row = [span for i in sorted(kept) for span in parts[i][1]]
    if rate is None:
        return crop([(fit("GPU", HEAD_WIDTH), "muted"), *tail], width)
    head = render_gauge(rate, width - measure_row(tail), g, used=gpu.used)[0]
    return crop([*head, *tail], width)
