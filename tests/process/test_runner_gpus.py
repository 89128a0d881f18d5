"""Runs on GPUs under a scripted NVML: all is real but a worker that only reports its GPU."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from support.fake_run import Run, plan
from support.scripted_nvml import Scenario
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.session import SessionState
from txtop.ui.models import machine

SAMPLER = (sys.executable, "-m", "txtop.sampler", "--interval", "0.05")
FIRST, SECOND = "gpu GPU-first Fake H100", "gpu GPU-second Fake H100"
Starts = Callable[..., SessionState]


@pytest.fixture
def run(tmp_path: Path, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Starts:
    def conduct(*lines: str, on: str = "GPU-first", iterations: int = 400) -> SessionState:
        scenario.write(*lines)
        for name, value in scenario.environment.items():
            monkeypatch.setenv(name, value)
        run_plan: Plan = msgspec.structs.replace(plan(on, iterations=iterations), warmup=200)
        started = Run(tmp_path / "s", run_plan, sampler=SAMPLER)
        started.run()
        assert started.ended == ("done", True)
        return started.state

    return conduct


def spoiled(state: SessionState) -> dict[str, int]:
    """Count the blocks that each reason spoiled."""
    counts: dict[str, int] = {}
    for block in state.cells["c001"].blocks:
        for reason in block.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return counts


@pytest.mark.fault(29)
def test_of_two_gpus_one_is_lost_and_its_block_is_repeated(run: Starts, tmp_path: Path) -> None:
    state = run(FIRST, "after 300 error * 15", SECOND, iterations=1000)
    cell = state.cells["c001"]
    assert cell.status == "ok" and len(cell.samples.kept()) == 1000
    assert set(spoiled(state)) == {"the GPU stopped answering"} and cell.samples.discarded
    first, second = (state.devices[f"GPU-{name}"] for name in ("first", "second"))
    assert 0.0 not in first.series["power_w"][1]
    assert 0 < len(second.series["power_w"][0]) < len(first.series["power_w"][0])
    view = machine.build_machine(state, cell)
    assert len(view.gpus) == 2 and view.title.startswith("2 x Fake H100")
    made = json.build_export(state, FinalMetrics())
    assert any("stopped answering" in gap for gap in made.telemetry.gaps)
    assert any("repeated: the GPU stopped answering" in note for note in made.cells[0].notes)
    assert made.cells[0].metrics["e2e_ms"].n <= 1000
    stream = read_all(tmp_path / "s")[0]
    gaps = [e.producer for e in stream if isinstance(e, events.Gap)]
    assert gaps == ["GPU-first"]


def test_a_gpu_that_is_not_the_cells_own_spoils_nothing(run: Starts) -> None:
    state = run(FIRST, "after 300 error * 15", SECOND, on="GPU-second")
    assert state.cells["c001"].status == "ok" and spoiled(state) == {}


def test_throttling_is_repeated_three_times_and_then_kept_with_a_word(run: Starts) -> None:
    state = run(FIRST, "set throttle_reasons 64")
    cell = state.cells["c001"]
    assert cell.status == "ok" and len(cell.samples.kept()) == 400
    assert set(spoiled(state)) == {"throttled: hardware thermal"}
    assert sum(not block.kept for block in cell.blocks) == 3
    assert any(block.kept for block in cell.blocks)


def test_power_of_the_cell_and_its_driver_are_exported(run: Starts) -> None:
    state = run(FIRST, iterations=800)
    made = json.build_export(state, FinalMetrics())
    cell = made.cells[0]
    assert (cell.device_id, cell.driver, cell.power_limit_w) == ("GPU-first", "999.99", 700.0)
    power = cell.metrics["power_w"]
    assert power.mean == 350.0 and power.n > 20
    assert any("driver" in name for name in made.session.versions)
    assert not any(math.isnan(v) for v in state.devices["GPU-first"].series["power_w"][1])
