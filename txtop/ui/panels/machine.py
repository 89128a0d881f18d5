"""The machine beside the measurement: rates as sparks, capacities as bars."""

from __future__ import annotations

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_text
from txtop.ui.models.machine import MBU, OTHERS, Gauge, GpuView, MachineView
from txtop.ui.models.view import View
from txtop.ui.panels import (
    machine_detail,
)
from txtop.ui.panels.base import FramedPanel
from txtop.ui.panels.machine_gauge import HEAD_WIDTH, VALUE_WIDTH, render_gauge, render_roofline


def render_machine(
    shown: MachineView,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    title: str = "this machine",
) -> list[Row]:
    """The panel with its frame."""
    across, down = compute_inner_size(width, height, boxed)
    body = _render_columns(shown, across, down, g) if not boxed and down < 6 else []
    subtitle: Row = [(shown.title, "muted")] if shown.title else []
    return draw_frame(
        title,
        subtitle,
        body or render_machine_rows(shown, across, down, g),
        width,
        height,
        g,
        boxed=boxed,
        focused=focused,
    )


def compute_small_height(shown: MachineView) -> int:
    """Rows that the panel wants on a small terminal, heading included; the same before and after
    the first token."""
    watched = [each for each in shown.host if each.label != MBU]
    return 4 if shown.gpus or len(watched) > 2 else 3


def render_machine_rows(shown: MachineView, width: int, height: int, g: Glyphs) -> list[Row]:
    """One row a gauge, blank rows between devices where there is room for them, and what bounds the
    cell."""
    if not shown.host and not shown.gpus:
        return [[], [("waiting for first reading", "muted")]]
    host = [render_gauge(each, width, g) for each in shown.host]
    full = [_render_gpu(each, width, g) for each in shown.gpus]
    airy = [[], *host, *(row for rows in full for row in ([], *rows[:-1], [], rows[-1]))]
    tight = [*host, *(row for rows in full for row in rows)]
    under = render_roofline(shown.roof, width) if shown.roof else []
    apart: list[Row] = [[]] if under and not full else []
    short = [_render_gpu_line(each, width, g) for each in shown.gpus]
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


def _render_columns(shown: MachineView, width: int, height: int, g: Glyphs) -> list[Row]:
    """The host left, the first GPU right, the rest of what there is to say in one line."""
    if not shown.host and not shown.gpus:
        return [[("waiting for first reading", "muted")]]
    last: Row = []
    if not shown.gpus:
        rows = [render_gauge(each, width, g) for each in shown.host[:2]]
        last = _render_values(shown.host[2:])
        return [*rows, last][:height]
    half = (width - 2) // 2
    first = shown.gpus[0]
    left = [render_gauge(each, half, g) for each in shown.host[:2]]
    right = [render_gauge(each, width - half - 2, g) for each in first.gauges[:2]]
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
        [*_render_values((*shown.host[2:], *first.gauges[2:])), *_render_short_facts(first, g)],
    ]


def _render_values(gauges: tuple[Gauge, ...]) -> Row:
    """Gauges without a picture: `power  412 W`."""
    row: Row = []
    for each in gauges:
        row += [
            (f"{each.label} ", "muted"),
            (each.value, "text.bold"),
            (f" {each.unit}   ", "muted"),
        ]
    return row


def _render_gpu(shown: GpuView, width: int, g: Glyphs) -> list[Row]:
    own, others = (
        GpuView((), tuple(f for f in shown.facts if (f.label == OTHERS) is apart))
        for apart in (False, True)
    )
    rows = [*(render_gauge(each, width, g) for each in shown.gauges), _render_facts(own, "   ", g)]
    return [*rows, _render_facts(others, "   ", g)] if others.facts else rows


def _render_facts(shown: GpuView, gap: str, g: Glyphs) -> Row:
    row: Row = []
    for fact in shown.facts:
        if fact.bad:
            row.append((f"{g('▲')} {fact.value}", "warn.bold"))
        else:
            row.append((f"{fact.label} ", "muted"))
            row.append((fact.value, "text" if fact.value == "none" else "text.bold"))
        row.append(((f" {g(fact.unit)}" if fact.unit else "") + gap, "muted"))
    return row


def _render_short_facts(shown: GpuView, g: Glyphs) -> Row:
    """The same without the labels that a unit makes needless, the throttle last."""
    measured = [fact for fact in shown.facts if fact.unit]
    row: Row = []
    for fact in reversed(measured):
        row += [(fact.value, "text.bold"), (f" {g(fact.unit)}   ", "muted")]
    others = tuple(fact for fact in shown.facts if not fact.unit)
    return [*row, *_render_facts(GpuView((), others), "   ", g)]


def _render_gpu_line(shown: GpuView, width: int, g: Glyphs) -> Row:
    """A whole GPU in one row, where there are many."""
    rate = next((each for each in shown.gauges if each.share is None), None)
    memory = next((each for each in shown.gauges if each.share is not None), None)
    tail: Row = []
    if memory is not None:
        tail = [
            (f"  {fit(g(memory.value), VALUE_WIDTH, 'right')}", "text.bold"),
            (f" of {memory.capacity} GiB", "muted"),
        ]
    tail += [(f"  {g('▲')} {fact.value}", "warn.bold") for fact in shown.facts if fact.bad]
    taken = sum(measure_text(clean(text)) for text, _ in tail)
    head = (
        render_gauge(rate, max(HEAD_WIDTH, width - taken), g)
        if rate is not None
        else [(fit("GPU", HEAD_WIDTH), "muted")]
    )
    return [*head, *tail]


class MachinePanel(FramedPanel, can_focus=True):
    """The machine. It is drawn once a second of the session."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._second = -1

    def show(self, view: View) -> None:
        second, before = view.clock_ns // 1_000_000_000, self.shown.machine
        other = (view.machine.title, view.machine.roof is None) != (
            before.title,
            before.roof is None,
        )
        if second != self._second or other:
            self._second = second
            super().show(view)

    def build(self, width: int, height: int) -> list[Row]:
        if self.zoomed:
            shown, focused = self.shown, self.has_focus
            return machine_detail.render_machine_detail(
                shown.machine,
                shown.whole,
                width,
                height,
                glyphs.get_glyphs(),
                boxed=self.boxed,
                focused=focused,
            )
        return render_machine(
            self.shown.machine,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
        )
