"""The zoomed machine panel: cores, GPUs and foreign processes beside the usual rows.

Parts stand one above the other, or host and GPUs side by side. Each part takes the richest form
that fits and leaves the rest to those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_row
from txtop.ui.models.machine import MBU, Fact, Gauge, GpuView, MachineView
from txtop.ui.models.machine_detail import MachineDetailView
from txtop.ui.panels import machine_cores
from txtop.ui.panels.machine_cores import MAX_SPARK_ROWS, render_heading
from txtop.ui.panels.machine_gauge import HEAD_WIDTH, NO_READING, render_gauge, render_roofline

SIDE_BY_SIDE_FROM = 100
GAP_WIDTH = 3
SPARK_WIDTH = 8
MAX_NAME_WIDTH = 40
# Renders a part in at most the given count of rows.
PartRenderer = Callable[[int], list[Row]]


def render_machine_detail(view: MachineView, more: MachineDetailView, area: Area) -> list[Row]:
    """Render the panel with its frame."""
    inside = area.inside
    subtitle: Row = [(area.glyphs(view.title), "muted")] if view.title else []
    return draw_frame("this machine", subtitle, _render_body(view, more, inside), area)


def _render_body(view: MachineView, more: MachineDetailView, area: Area) -> list[Row]:
    g = area.glyphs
    if not view.host and not view.gpus:
        return [[], [(NO_READING, "muted")]]
    if view.gpus and area.width >= SIDE_BY_SIDE_FROM:
        half = (area.width - GAP_WIDTH) // 2
        left = _stack_parts(_list_host_parts(view, more, half, g), area.height)
        right = _stack_parts(
            _list_gpu_parts(view, more, area.width - half - GAP_WIDTH, g), area.height
        )
        return [
            [
                *crop(left[y] if y < len(left) else [], half),
                (" " * GAP_WIDTH, "text"),
                *(right[y] if y < len(right) else []),
            ]
            for y in range(max(len(left), len(right)))
        ]
    parts = _list_host_parts(view, more, area.width, g)
    return _stack_parts([*parts, *_list_gpu_parts(view, more, area.width, g)], area.height)


def _stack_parts(parts: Sequence[tuple[int, PartRenderer]], height: int) -> list[Row]:
    """Give each part the rows that those after it do not need at least; add blank rows between
    parts if there is room."""
    drawn: list[list[Row]] = []
    for i, (_, part) in enumerate(parts):
        taken = sum(map(len, drawn)) + sum(least for least, _ in parts[i + 1 :])
        drawn.append(part(max(0, height - taken)))
    filled = [rows for rows in drawn if rows]
    if sum(map(len, filled)) + len(filled) - 1 <= height:
        filled = [rows if i == 0 else [[], *rows] for i, rows in enumerate(filled)]
    return [row for rows in filled for row in rows][:height]


def _list_host_parts(
    view: MachineView, more: MachineDetailView, width: int, g: Glyphs
) -> list[tuple[int, PartRenderer]]:
    gauges = [*view.host]
    if more.swap is not None:
        gauges.insert(2, more.swap)
    least = len(gauges) + bool(more.host)
    parts: list[tuple[int, PartRenderer]] = [
        (least, lambda room: _render_host(gauges, more.host, width, room, g))
    ]
    if more.cores:
        parts.append(
            (
                machine_cores.MIN_ROWS,
                lambda room: machine_cores.render_cores(more.cores, width, room, g),
            )
        )
    return parts


def _list_gpu_parts(
    view: MachineView, more: MachineDetailView, width: int, g: Glyphs
) -> list[tuple[int, PartRenderer]]:
    bound = render_roofline(view.roof, width) if view.roof else []
    under: list[tuple[int, PartRenderer]] = (
        [(len(bound), lambda room: bound[:room])] if bound else []
    )
    if not view.gpus:
        return under
    least = 1 if more.others is None else 1 + min(3, len(more.others))
    return [
        (len(view.gpus), lambda room: _render_gpus(view.gpus, more.gpus, width, room, g)),
        *under,
        (least, lambda room: _render_foreign_processes(more, width, room, g)),
    ]


def _render_host(
    gauges: Sequence[Gauge], facts: tuple[Fact, ...], width: int, room: int, g: Glyphs
) -> list[Row]:
    spare = max(0, room - len(gauges) - bool(facts))
    high = min(MAX_SPARK_ROWS, 1 + spare // 8)
    rows = [row for gauge in gauges for row in _render_tall_gauge(gauge, width, high, g)]
    if facts:
        rows.append(_render_facts(facts, width, g))
    return rows[:room]


def _render_tall_gauge(
    gauge: Gauge, width: int, high: int, g: Glyphs, *, used: bool = False
) -> list[Row]:
    """Render one gauge; the history of a rate is `high` rows high."""
    rows = [render_gauge(gauge, width, g, used=used)]
    if high <= 1 or gauge.share is not None or not gauge.history or width - HEAD_WIDTH < 4:
        return rows
    drawn = charts.draw_area(gauge.history, width - HEAD_WIDTH, high, gauge.top, g)
    heads: list[Row] = [[*rows[0][:-1]], *([(" " * HEAD_WIDTH, "text")] for _ in range(high - 1))]
    return [[*head, (line, "plot")] for head, line in zip(heads, drawn, strict=True)]


def _render_facts(facts: Sequence[Fact], width: int, g: Glyphs) -> Row:
    """Render as many whole facts as fit."""
    row: Row = []
    for fact in facts:
        unit = f" {g(fact.unit)}" if fact.unit else ""
        if fact.bad:
            spans: Row = [(f"{g('▲')} {fact.value}{unit}", "warn.bold")]
        else:
            spans = [(f"{fact.label} ", "muted"), (fact.value, "text.bold"), (unit, "muted")]
        gap: Row = [("   ", "text")] if row else []
        if measure_row(row) + measure_row(gap) + measure_row(spans) > width:
            break
        row += [*gap, *spans]
    return row


def _render_gpus(
    gpus: Sequence[GpuView], more: Sequence[tuple[Fact, ...]], width: int, room: int, g: Glyphs
) -> list[Row]:
    """Render the GPUs in equal shares of the rows; in one row each if there are many."""
    share = room // len(gpus)
    rows: list[Row] = []
    for i, gpu in enumerate(gpus):
        full = _render_gpu(gpu, more[i] if i < len(more) else (), width, share, g)
        rows += full[:share] if share else []
    if share:
        return rows if rows[-1] else rows[:-1]
    order = sorted(gpus, key=lambda gpu: not gpu.used)
    short = [_render_gpu_line(gpu, width, g) for gpu in order[: max(0, room - 1)]]
    return [*short, [(f"{len(gpus) - len(short)} more", "muted")]][:room]


def _render_gpu(
    gpu: GpuView, more: tuple[Fact, ...], width: int, room: int, g: Glyphs
) -> list[Row]:
    facts = _wrap_facts([*_sort_bad_first(gpu.facts), *more], width, g)
    least = len(gpu.gauges) + len(facts)
    if room >= least:
        rates = sum(gauge.share is None and bool(gauge.history) for gauge in gpu.gauges)
        high = min(MAX_SPARK_ROWS, 1 + max(0, room - least - 1) // max(1, rates))
        rows = [
            row
            for gauge in gpu.gauges
            for row in _render_tall_gauge(gauge, width, high, g, used=gpu.used)
        ]
        rows += facts
        return [*rows, []] if len(rows) < room else rows
    if room > 1:
        gpu = _move_mbu_to_facts(gpu)
    if room > len(gpu.gauges):
        rows = [render_gauge(gauge, width, g, used=gpu.used) for gauge in gpu.gauges]
        return [*rows, _render_facts(_sort_bad_first(gpu.facts), width, g)]
    if room > 1:
        here = [fact for fact in gpu.facts if fact.label == "temp"]
        rest = [fact for fact in _sort_bad_first(gpu.facts) if fact not in here]
        return [
            _render_gpu_line(replace(gpu, facts=tuple(here)), width, g),
            _render_facts(rest, width, g),
        ]
    return [_render_gpu_line(gpu, width, g)]


def _move_mbu_to_facts(gpu: GpuView) -> GpuView:
    """Move MBU from the gauges to the facts: only one GPU has it, and rows should match those of
    the others."""
    facts = tuple(
        Fact(gauge.label, gauge.value, gauge.unit) for gauge in gpu.gauges if gauge.label == MBU
    )
    gauges = tuple(gauge for gauge in gpu.gauges if gauge.label != MBU)
    return replace(gpu, gauges=gauges, facts=(*facts, *gpu.facts))


def _sort_bad_first(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: not fact.bad)


def _wrap_facts(facts: Sequence[Fact], width: int, g: Glyphs) -> list[Row]:
    """Render all facts in as many rows as necessary."""
    rows: list[Row] = []
    left = list(facts)
    while left:
        count = 1
        while (
            count < len(left) and measure_row(_render_facts(left[: count + 1], 10_000, g)) <= width
        ):
            count += 1
        rows.append(
            _render_facts(left[:count], max(width, 1), g) or crop([(left[0].value, "text")], width)
        )
        left = left[count:]
    return rows


def _render_gpu_line(gpu: GpuView, width: int, g: Glyphs) -> Row:
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
                        (fit(g(gauge.value), 7, "right"), "text.bold"),
                        (f" of {gauge.capacity} GiB", "muted"),
                    ],
                )
            )
        elif gauge is not rate:
            name: Row = [(f"  {gauge.label}", "muted")] if gauge.label == MBU else []
            value: Row = [(fit(g(gauge.value), 4 if name else 6, "right"), "text.bold")]
            parts.append((2, [*name, *value, (f" {gauge.unit}", "muted")]))
    for fact in gpu.facts:
        if fact.bad:
            parts.append((1, [(f"  {g('▲')} {fact.value}", "warn.bold")]))
        elif fact.label == "temp":
            parts.append((3, [(f"  {fact.value}", "text.bold"), (f" {g(fact.unit)}", "muted")]))
    room = width - HEAD_WIDTH - SPARK_WIDTH
    kept = []
    for i in sorted(range(len(parts)), key=lambda i: parts[i][0]):
        taken = measure_row(parts[i][1])
        if taken <= room:
            kept.append(i)
            room -= taken
    tail: Row = [span for i in sorted(kept) for span in parts[i][1]]
    if rate is None:
        return crop([(fit("GPU", HEAD_WIDTH), "muted"), *tail], width)
    head = render_gauge(rate, width - measure_row(tail), g, used=gpu.used)
    return crop([*head, *tail], width)


def _render_foreign_processes(
    more: MachineDetailView, width: int, room: int, g: Glyphs
) -> list[Row]:
    """Render the processes of others on the GPUs, and an explicit line if there are none."""
    if room < 1 or more.others is None:
        return []
    if not more.others:
        return [render_heading("other processes", "none on these GPUs")]
    rows: list[Row] = [render_heading("other processes", "on these GPUs, not of this run")]
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
