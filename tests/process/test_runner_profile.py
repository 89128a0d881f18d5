"""The time of a GPU in a step is read once a step, in a worker of its own, after measuring."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from support.fake_run import Run, plan
from support.waiting import wait_until
from txtop.plan.plan import Plan
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.state.pending_work import find_pending_profiles


def read(folder: Path) -> list[AnyEvent]:
    lines = (folder / "events.jsonl").read_bytes()
    return codec.decode_events(lines) or []


def conduct(folder: Path, asked: Plan, **options: object) -> Run:
    run = Run(folder, asked, **options)
    run.run()
    return run


def test_a_cell_on_a_gpu_is_profiled_once_by_a_worker_that_measures_nothing(tmp_path: Path) -> None:
    run = conduct(tmp_path / "s", plan("GPU-first", "ok", iterations=3))
    assert run.ended == ("done", True)
    assert set(run.state.device_times) == {"c001"}
    step = run.state.device_times["c001"].decode
    assert step is not None and (step.host_ns, step.busy_ns) == (1_000_000, 340_000)
    recorded = read(tmp_path / "s")
    (profiled,) = (event for event in recorded if isinstance(event, events.DeviceTime))
    others = {event.src for event in recorded if not isinstance(event, events.DeviceTime)}
    assert profiled.src == "worker:2" and profiled.src not in others
    assert {cell.worker for cell in run.state.cells.values()} == {"worker:1", "worker:3"}


def test_cells_that_differ_in_lengths_share_a_step(tmp_path: Path) -> None:
    asked = plan("GPU-first", iterations=3, batches=(1, 2))
    longer = msgspec.structs.replace(asked.cells[0], id="c003", sequence_length=64)
    run = conduct(tmp_path / "s", msgspec.structs.replace(asked, cells=(*asked.cells, longer)))
    assert set(run.state.device_times) == {"c001", "c002"}
    shared = run.state.device_time_of("c003")
    assert shared is not None and shared.cell == "c001"
    assert shared.decode is not None and shared.prefill is None, "its prefill is another one"


def test_arms_are_profiled_after_they_took_turns(tmp_path: Path) -> None:
    asked = plan("GPU-first", iterations=3)
    arms = tuple(
        msgspec.structs.replace(asked.cells[0], id=name, precision=precision)
        for name, precision in (("A", "fp32"), ("B", "bf16"))
    )
    run = conduct(tmp_path / "s", msgspec.structs.replace(asked, cells=arms, margin=0.02))
    assert set(run.state.device_times) == {"A", "B"}
    kinds = [type(event) for event in read(tmp_path / "s")]
    assert kinds.index(events.DeviceTime) > max(
        i for i, kind in enumerate(kinds) if kind in (events.Iteration, events.CellFinished)
    )


def test_without_a_profile_there_is_none(tmp_path: Path) -> None:
    asked = msgspec.structs.replace(plan("GPU-first", iterations=3), profile="none")
    run = conduct(tmp_path / "s", asked)
    assert not run.state.device_times and not find_pending_profiles(run.state)


def test_a_pass_that_dies_costs_its_figures_alone(tmp_path: Path) -> None:
    run = conduct(tmp_path / "s", plan("GPU-lost", "GPU-first", iterations=3))
    assert run.ended == ("done", True)
    assert [cell.status for cell in run.state.cells.values()] == ["ok", "ok"]
    lost = run.state.device_times["c001"]
    assert lost.failed.startswith("the worker killed by SIGABRT") and lost.decode is None
    assert not run.state.device_times["c002"].failed
    assert any("no time of the GPU" in line.text for line in run.state.log)


def test_a_pass_that_hangs_is_given_up(tmp_path: Path) -> None:
    run = conduct(tmp_path / "s", plan("GPU-stuck", iterations=3), silence_s=0.6, look_s=0.1)
    assert run.ended == ("done", True)
    assert run.state.device_times["c001"].failed == "no output for 0.6 s"


@pytest.mark.parametrize("action", ["skip", "stop"])
def test_a_pass_that_is_skipped_or_stopped_ends_at_once(tmp_path: Path, action: str) -> None:
    run = Run(tmp_path / "s", plan("GPU-stuck", iterations=3)).start()
    wait_until(lambda: any("the GPU in a step" in line.text for line in run.state.log))
    if action == "skip":
        run.conductor.control.skip = True
    else:
        run.conductor.control.stop("a test")
    ended = run.join()
    assert ended == ("done" if action == "skip" else "stopped", True)
    if action == "skip":
        assert run.state.device_times["c001"].failed == "skipped"
    else:
        assert not run.state.device_times and len(find_pending_profiles(run.state)) == 1


def test_a_resumed_session_reads_what_is_missing(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("GPU-stuck", iterations=3)).start()
    wait_until(lambda: any("the GPU in a step" in line.text for line in run.state.log))
    run.conductor.control.stop("a test")
    run.join()
    from support.fake_run import FAKE
    from txtop.runner.conductor import Conductor

    again = Conductor(None, tmp_path / "s", worker=FAKE, sampler=None, silence_s=0.6, look_s=0.1)
    again.run()
    assert again.recorder.state.device_times["c001"].failed == "no output for 0.6 s"
