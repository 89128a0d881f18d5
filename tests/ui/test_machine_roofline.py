"""The roofline in the machine's panel, absent when nothing is known about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.panels import G
from support.roofline_session import GPT2, PEAKS, told
from support.ui_events import GPU, Story, folded, header
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.models.machine import HISTORY_S, MachineView, RooflineView
from txtop.ui.models.machine_detail import NO_MACHINE_DETAIL
from txtop.ui.models.view import build_view
from txtop.ui.panels import machine
from txtop.ui.panels.machine_body import render_machine_body

ONE = Plan(cells=(Cell(id="c1", model="gpt2", new_tokens=8),), iterations=12, warmup=2)


def lines(rows: list[Any]) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in rows]


def drawn(state: SessionState, width: int = 49, height: int = 13) -> list[str]:
    return lines(
        render_machine_body(build_view(state).machine, NO_MACHINE_DETAIL, Area(width, height, G))
    )


def on_gpu(gpus: int = 1, **peaks: object) -> SessionState:
    """gpt2 in fp32 at 37 ms per token: 13.7 GB/s."""
    story = Story(ONE, gpus=gpus)
    state = folded(iter([header(ONE)]))
    for event in story.cell(ONE.cells[0]):
        if isinstance(event, events.ModelLoaded):
            event.geometry = GPT2
            told = PEAKS | {"device": GPU, "threads": 2, "source": "table"} | peaks
            fold(state, events.DevicePeaks(t_ns=event.t_ns, **told))
        fold(state, event)
    return state


def test_a_cpu_has_its_row_and_says_what_bounds_it() -> None:
    rows = drawn(told())
    assert [line.split()[:3] for line in rows if line.startswith("MBU")] == [["MBU", "51", "%"]]
    assert rows[-2:] == [
        "limited by memory: 51 % of the measured peak",
        "int8 would lift the ceiling 4.0x",
    ]


def test_both_share_a_row_where_there_is_room() -> None:
    wanted = "limited by memory: 51 % of the measured peak; int8 would lift the ceiling 4.0x"
    assert drawn(told(), width=len(wanted))[-1] == wanted
    assert drawn(told(), width=len(wanted) - 1)[-1] == "int8 would lift the ceiling 4.0x"


def test_a_gpu_has_the_row_under_its_readings() -> None:
    rows = drawn(on_gpu(bandwidth_bytes_per_s=20e9), height=12)
    labels = [line.split()[0] for line in rows if line]
    assert labels[labels.index("GPU") :][1:6] == ["power", "clock", "VRAM", "temp", "MBU"]
    assert rows[-1].startswith("limited by memory: ")
    assert rows[-1].endswith(" % of the published peak")


def test_far_from_both_there_is_no_culprit() -> None:
    assert drawn(on_gpu(bandwidth_bytes_per_s=100e9))[-1] == "limited by neither memory nor compute"


def test_more_than_everything_is_no_number() -> None:
    rows = drawn(told(peaks=PEAKS | {"bandwidth_bytes_per_s": 20e9}))
    assert rows[-1] == "MBU above 100 %: not shown"
    assert not any(line.startswith("MBU ") and line != rows[-1] for line in rows)


@pytest.mark.parametrize("state", [told(peaks=None), told(geometry=None), SessionState()])
def test_nothing_is_said_of_what_is_not_known(state: SessionState) -> None:
    assert build_view(state).machine.roof is None
    assert not any("MBU" in line or "limited" in line for line in drawn(state))


def test_an_encoder_is_bound_and_has_no_mbu() -> None:
    rows = drawn(told(family="encoder", peaks=PEAKS | {"flops_per_s": {"fp32": 1e11}}))
    assert rows[-1] == "limited by compute: 37 % of the measured peak"
    assert not any(line.startswith("MBU") for line in rows)


def test_a_small_terminal_gives_no_row_away() -> None:
    view = build_view(on_cpu()).machine
    assert [gauge.label for gauge in view.host] == ["CPU", "RAM", "MBU"]
    assert machine.compute_small_height(view) == machine.compute_small_height(MachineView()) == 3
    small = lines(machine.render_machine(view, Area(80, 3, G)))
    assert not any("MBU" in line for line in small)
    view = build_view(on_gpu(bandwidth_bytes_per_s=20e9)).machine
    assert " MBU " in lines(machine.render_machine(view, Area(80, 4, G)))[3]


def test_many_gpus_in_a_row_each_leave_it_a_place() -> None:
    rows = drawn(on_gpu(gpus=8, bandwidth_bytes_per_s=20e9), height=14)
    assert sum(line.lstrip("▸").startswith("GPU") for line in rows) == 8
    assert rows[-1].startswith("limited by memory")


def test_devices_go_before_the_roof() -> None:
    state = on_gpu(gpus=4)
    view = build_view(state).machine
    bare = replace(view, roof=None)
    for height in range(1, 40):
        rows = render_machine_body(view, NO_MACHINE_DETAIL, Area(49, height, G))
        assert len(rows) <= max(height, 3)
        if not any("limited" in line for line in lines(rows)):
            assert rows == render_machine_body(bare, NO_MACHINE_DETAIL, Area(49, height, G))


def on_cpu(iterations: int = 12) -> SessionState:
    """The same at 149 ms per token, 0.15 s, on the CPU."""
    plan = Plan(cells=ONE.cells, iterations=iterations, warmup=2)
    story, state = Story(plan, token_ms=100), folded(iter([header(plan)]))
    for event in story.cell(plan.cells[0]):
        if isinstance(event, events.ModelLoaded):
            event.geometry, event.device_name = GPT2, "A CPU"
            fold(state, events.DevicePeaks(t_ns=event.t_ns, **PEAKS | {"threads": 2}))
        fold(state, event)
    return state


def test_the_history_has_a_point_for_each_second_that_iterations_lasted() -> None:
    """Each of them takes 1.1 s and more, so that in some seconds none ends."""
    state = on_cpu()
    roof = build_view(state).machine.roof
    assert isinstance(roof, RooflineView) and roof.gauge is not None
    samples = state.cells["c1"].samples
    taken_s = (samples.at_ns[-1] - (samples.at_ns[0] - samples.e2e_ns[0])) / 1e9
    assert abs(len(roof.gauge.history) - taken_s) <= 2
    assert None not in roof.gauge.history and roof.gauge.top == 100
    # The first iterations are slower; 494.6 MB in 149 ms are 6.6 % of 50 GB/s.
    assert roof.gauge.history[-1] == pytest.approx(6.8, abs=0.3)


def test_the_history_ends_where_the_panel_does() -> None:
    roof = build_view(on_cpu(200)).machine.roof
    assert roof is not None and roof.gauge is not None
    assert len(roof.gauge.history) == HISTORY_S and None not in roof.gauge.history
