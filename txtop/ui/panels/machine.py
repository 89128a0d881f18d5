"""The machine panel: a few rows on a small terminal, else its parts with their histories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cut, join_blocks, measure_row, measure_text
from txtop.ui.models.machine import MBU, Fact, Gauge, GpuView, MachineView
from txtop.ui.models.machine_detail import NO_MACHINE_DETAIL, MachineDetailView
from txtop.ui.panels.base import FramedPanel
from txtop.ui.panels.home_parts import MACHINE
from txtop.ui.panels.machine_body import render_holders, render_machine_body
from txtop.ui.panels.machine_gauge import NO_READING, render_gauge
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from txtop.ui.models.view import View

# Columns of the heading that are not the subtitle's.
TITLE_ROOM = 22
# Rows inside below which host and one GPU stand side by side.
SMALL_BELOW = 6


def render_machine(
    view: MachineView, area: Area, more: MachineDetailView = NO_MACHINE_DETAIL
) -> list[Row]:
    """Render the panel with its frame: a few rows on a small terminal, else all that fits."""
    inside = area.inside
    title = _shorten_title(area.glyphs(view.title), area.width - TITLE_ROOM)
    subtitle: Row = [(title, "muted")] if title else []
    if not area.boxed and inside.height < SMALL_BELOW:
        body = _render_columns(view, more, inside)
    else:
        body = render_machine_body(view, more, inside)
    return draw_frame(MACHINE, subtitle, body, area)


def _shorten_title(title: str, width: int) -> str:
    """Cut the name of the device, and keep the cores behind it."""
    name, dot, cores = title.rpartition(" · ")
    room = width - measure_text(dot + cores)
    return (
        title
        if measure_text(title) <= width
        else cut(name, room) + dot + cores
        if room > 3
        else cores
    )


def compute_small_height(view: MachineView) -> int:
    """Return the rows of the panel on a small terminal, heading included; the same before and after
    the first token."""
    watched = [gauge for gauge in view.host if gauge.label != MBU]
    return 4 if view.gpus or len(watched) > 2 else 3


def _render_columns(view: MachineView, more: MachineDetailView, area: Area) -> list[Row]:
    """Render the host at the left, the first GPU at the right, and the rest in one line."""
    g = area.glyphs
    if not view.host and not view.gpus:
        return [[(NO_READING, "muted")]]
    last: Row = []
    if not view.gpus:
        rows = [row for gauge in view.host[:2] for row in render_gauge(gauge, area.width, g)]
        last = _render_values(view.host[2:])
        return [*rows, last][: area.height]
    half = (area.width - 2) // 2
    first = next((gpu for gpu in view.gpus if gpu.used), view.gpus[0])
    left = [row for gauge in view.host[:2] for row in render_gauge(gauge, half, g)]
    right = [
        row
        for gauge in first.gauges[:2]
        for row in render_gauge(gauge, area.width - half - 2, g, used=first.used)
    ]
    if len(view.gpus) > 2 and not any(gpu.used for gpu in view.gpus):
        last = _render_loads(view.gpus, g)
    else:
        last = _render_last_row(view, more, first, area.width, g)
    return [*join_blocks(left, right, half, 2), last]


def _render_last_row(
    view: MachineView, more: MachineDetailView, first: GpuView, width: int, g: Glyphs
) -> Row:
    """Render the readings of the `first` GPU with, as far as columns are free, what is read of the
    others, and who holds memory there. That nothing throttles gives way to others before that."""
    others = [gpu for gpu in view.gpus if gpu is not first]
    before = _render_values((*view.host[2:], *first.gauges[2:]))
    whole = [*before, *_render_short_facts(first, g)]
    told = [fact for fact in first.facts if fact.bad or fact.value != "none"]
    owns = (whole, [*before, *_render_short_facts(replace(first, facts=tuple(told)), g)])
    beside = [form for form in _list_other_forms(others, g) if form]
    rows = [[*form, *own] for own in owns for form in beside] or [whole]
    row = next((row for row in rows if _measure_content(row) <= width), whole)
    return [*row, *render_holders(more, width - measure_row(row), g)]


def _measure_content(row: Row) -> int:
    """Return the columns of a row up to its last character that is none of the blanks at its
    end."""
    return measure_text("".join(text for text, _ in row).rstrip())


def _render_loads(gpus: Sequence[GpuView], g: Glyphs) -> Row:
    """Render the load of every GPU: one is in the rows above, and none is the one that matters."""
    row: Row = [("load of each GPU", "muted")]
    for gpu in gpus:
        rate = _find_rate(gpu)
        row.append((f"  {g(rate.value) if rate is not None else ''}", "text.bold"))
    return [*row, (" %", "muted")]


def _list_other_forms(gpus: Sequence[GpuView], g: Glyphs) -> list[Row]:
    """Render the load, memory and power of one more GPU, or the ranges of those of several: forms
    from the longest to the load alone."""
    rates = [rate for gpu in gpus if (rate := _find_rate(gpu)) is not None]
    if not rates:
        return []
    row: Row = [(f"{rates[0].label if len(gpus) == 1 else 'other GPUs'} ", "muted")]
    forms: list[Row] = []
    for place in range(max(len(gpu.gauges) for gpu in gpus)):
        listed = [gpu.gauges[place] for gpu in gpus if place < len(gpu.gauges)]
        read = [gauge for gauge in listed if gauge.value[:1].isdigit()]
        if not read:
            continue
        values = sorted({gauge.value for gauge in read}, key=lambda value: (len(value), value))
        ends = dict.fromkeys((values[0], values[-1]))
        row = [*row, (g("–".join(ends)), "text.bold"), (f" {read[0].unit}  ", "muted")]
        forms.insert(0, [*row, (" ", "muted")])
    return forms


def _find_rate(gpu: GpuView) -> Gauge | None:
    """Return the load of a GPU: its reading with a history."""
    return next((gauge for gauge in gpu.gauges if gauge.share is None), None)


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


def _render_facts(facts: Iterable[Fact], g: Glyphs) -> Row:
    row: Row = []
    for fact in facts:
        if fact.bad:
            row.append((f"{g('▲')} {fact.value}", "warn.bold"))
        else:
            row.append((f"{fact.label} ", "muted"))
            row.append((fact.value, "text" if fact.value == "none" else "text.bold"))
        row.append(((f" {g(fact.unit)}" if fact.unit else "") + "   ", "muted"))
    return row


def _render_short_facts(gpu: GpuView, g: Glyphs) -> Row:
    """Render the facts without labels that a unit makes redundant, throttling last."""
    measured = [fact for fact in gpu.facts if fact.unit]
    row: Row = []
    for fact in reversed(measured):
        row += [(fact.value, "text.bold"), (f" {g(fact.unit)}   ", "muted")]
    return [*row, *_render_facts((fact for fact in gpu.facts if not fact.unit), g)]


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
        return render_machine(self.view.machine, self.area(width, height), self.view.machine_detail)
