"""The machine panel beside the measurement: rates as sparklines, capacities as bars."""

from __future__ import annotations

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_text
from txtop.ui.models.machine import MBU, OTHERS, Gauge, GpuView, MachineView
from txtop.ui.models.view import View
from txtop.ui.panels import machine_detail
from txtop.ui.panels.base import FramedPanel
from txtop.ui.panels.machine_gauge import (
    HEAD_WIDTH,
    NO_READING,
    VALUE_WIDTH,
    render_gauge,
    render_roofline,
)
from txtop.units import NS_PER_S


def render_machine(view: MachineView, area: Area) -> list[Row]:
    """Render the panel with its frame."""
    inside = area.inside
    body = _render_columns(view, inside) if not area.boxed and inside.height < 6 else []
    subtitle: Row = [(view.title, "muted")] if view.title else []
    return draw_frame("this machine", subtitle, body or render_machine_rows(view, inside), area)


def compute_small_height(view: MachineView) -> int:
    """Return the rows of the panel on a small terminal, heading included; the same before and after
    the first token."""
    watched = [gauge for gauge in view.host if gauge.label != MBU]
    return 4 if view.gpus or len(watched) > 2 else 3


def render_machine_rows(view: MachineView, area: Area) -> list[Row]:
    """Render one row a gauge, blank rows between devices if there is room, and the roofline."""
    g = area.glyphs
    if not view.host and not view.gpus:
        return [[], [(NO_READING, "muted")]]
    host = [render_gauge(gauge, area.width, g) for gauge in view.host]
    full = [_render_gpu(gauge, area.width, g) for gauge in view.gpus]
    airy = [[], *host, *(row for rows in full for row in ([], *rows[:-1], [], rows[-1]))]
    tight = [*host, *(row for rows in full for row in rows)]
    under = render_roofline(view.roof, area.width) if view.roof else []
    apart: list[Row] = [[]] if under and not full else []
    short = [_render_gpu_line(gauge, area.width, g) for gauge in view.gpus]
    for rows in (
        [*airy, *apart, *under],
        [*tight, *under],
        airy,
        tight,
        [*host, *short, *(([], *under) if under else ())],
    ):
        if len(rows) <= area.height:
            return rows
    room = max(1, area.height - len(host))
    if len(short) > room:
        more: Row = [(f"{len(short) - room + 1} more", "muted")]
        order = sorted(range(len(short)), key=lambda i: not view.gpus[i].used)
        short = [*(short[i] for i in order[: room - 1]), more]
    return [*host, *short]


def _render_columns(view: MachineView, area: Area) -> list[Row]:
    """Render the host at the left, the first GPU at the right, and the rest in one line."""
    g = area.glyphs
    if not view.host and not view.gpus:
        return [[(NO_READING, "muted")]]
    last: Row = []
    if not view.gpus:
        rows = [render_gauge(gauge, area.width, g) for gauge in view.host[:2]]
        last = _render_values(view.host[2:])
        return [*rows, last][: area.height]
    half = (area.width - 2) // 2
    first = next((gpu for gpu in view.gpus if gpu.used), view.gpus[0])
    left = [render_gauge(gauge, half, g) for gauge in view.host[:2]]
    right = [
        render_gauge(gauge, area.width - half - 2, g, used=first.used) for gauge in first.gauges[:2]
    ]
    rows = [
        [
            *crop(left[y] if y < len(left) else [], half),
            ("  ", "text"),
            *(right[y] if y < len(right) else []),
        ]
        for y in range(max(len(left), len(right)))
    ]
    return [
        *rows,
        [*_render_values((*view.host[2:], *first.gauges[2:])), *_render_short_facts(first, g)],
    ]


def _render_values(gauges: tuple[Gauge, ...]) -> Row:
    """Render gauges as text: `power  412 W`."""
    row: Row = []
    for gauge in gauges:
        row += [
            (f"{gauge.label} ", "muted"),
            (gauge.value, "text.bold"),
            (f" {gauge.unit}   ", "muted"),
        ]
    return row


def _render_gpu(gpu: GpuView, width: int, g: Glyphs) -> list[Row]:
    own, others = (
        GpuView((), tuple(f for f in gpu.facts if (f.label == OTHERS) is apart))
        for apart in (False, True)
    )
    gauges = [render_gauge(gauge, width, g, used=gpu.used) for gauge in gpu.gauges]
    rows = [*gauges, _render_facts(own, "   ", g)]
    return [*rows, _render_facts(others, "   ", g)] if others.facts else rows


def _render_facts(gpu: GpuView, gap: str, g: Glyphs) -> Row:
    row: Row = []
    for fact in gpu.facts:
        if fact.bad:
            row.append((f"{g('▲')} {fact.value}", "warn.bold"))
        else:
            row.append((f"{fact.label} ", "muted"))
            row.append((fact.value, "text" if fact.value == "none" else "text.bold"))
        row.append(((f" {g(fact.unit)}" if fact.unit else "") + gap, "muted"))
    return row


def _render_short_facts(gpu: GpuView, g: Glyphs) -> Row:
    """Render the facts without labels that a unit makes redundant, throttling last."""
    measured = [fact for fact in gpu.facts if fact.unit]
    row: Row = []
    for fact in reversed(measured):
        row += [(fact.value, "text.bold"), (f" {g(fact.unit)}   ", "muted")]
    others = tuple(fact for fact in gpu.facts if not fact.unit)
    return [*row, *_render_facts(GpuView((), others), "   ", g)]


def _render_gpu_line(gpu: GpuView, width: int, g: Glyphs) -> Row:
    """Render a GPU in one row, for machines with many."""
    rate = next((gauge for gauge in gpu.gauges if gauge.share is None), None)
    memory = next((gauge for gauge in gpu.gauges if gauge.share is not None), None)
    tail: Row = []
    if memory is not None:
        tail = [
            (f"  {fit(g(memory.value), VALUE_WIDTH, 'right')}", "text.bold"),
            (f" of {memory.capacity} GiB", "muted"),
        ]
    tail += [(f"  {g('▲')} {fact.value}", "warn.bold") for fact in gpu.facts if fact.bad]
    taken = sum(measure_text(clean(text)) for text, _ in tail)
    head = (
        render_gauge(rate, max(HEAD_WIDTH, width - taken), g, used=gpu.used)
        if rate is not None
        else [(fit("GPU", HEAD_WIDTH), "muted")]
    )
    return [*head, *tail]


class MachinePanel(FramedPanel, can_focus=True):
    """The machine panel, redrawn once a second of session time."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._second = -1

    def show(self, view: View) -> None:
        second, before = view.clock_ns // NS_PER_S, self.view.machine
        other = (view.machine.title, view.machine.roof is None) != (
            before.title,
            before.roof is None,
        )
        if second != self._second or other:
            self._second = second
            super().show(view)

    def build(self, width: int, height: int) -> list[Row]:
        area = self.area(width, height)
        if self.zoomed:
            return machine_detail.render_machine_detail(
                self.view.machine, self.view.machine_detail, area
            )
        return render_machine(self.view.machine, area)
