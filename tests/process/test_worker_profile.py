"""The command `profile` on a real worker and the real profiler of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from support.gpu import has_gpu
from support.worker_process import WorkerProcess
from txtop.plan.cell import Cell
from txtop.protocol import commands, events


def profile(cell: Cell, *, cold: bool = False) -> tuple[events.DeviceTime, list[events.AnyEvent]]:
    """Profile `cell`. Return the answer and all events up to it."""
    worker = WorkerProcess(cold=cold)
    try:
        worker.send(commands.Profile(cell=cell, started_ns=worker.started_ns, seed=7))
        return worker.until(events.DeviceTime), worker.seen
    finally:
        worker.process.kill()
        worker.process.wait()


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_without_a_gpu_the_pass_runs_and_says_that_it_saw_none(tmp_path: Path, family: str) -> None:
    directory = getattr(tiny_models, family)(tmp_path)
    cell = Cell(id="c", model=str(directory), device="cpu", sequence_length=8, new_tokens=12)
    answer, seen = profile(cell)
    assert answer.cell == "c" and answer.failed.startswith("the profiler of torch saw no kernel")
    assert answer.prefill is None and answer.decode is None
    assert seen == [answer], "the cell is over: nothing else is reported of it"


def test_a_model_that_is_not_there_is_a_reason() -> None:
    answer, _ = profile(Cell(id="c", model="/no/model", device="cpu"))
    assert answer.failed == "no model at /no/model"


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("family", "knobs"),
    [
        ("gpt2", {}),
        ("gpt2", {"compile": "reduce-overhead", "cache": "static"}),
        ("bert", {}),
        ("t5", {}),
    ],
)
def test_the_share_on_a_gpu(tmp_path: Path, family: str, knobs: dict[str, Any]) -> None:
    if not has_gpu():
        pytest.skip("no GPU")
    directory = getattr(tiny_models, family)(tmp_path)
    cell = Cell(id="g", model=str(directory), precision="bf16", device="cuda", sequence_length=16,
                new_tokens=24, **knobs)  # fmt: skip
    answer, _ = profile(cell, cold=True)
    assert not answer.failed
    phases = [answer.prefill, *([] if family == "bert" else [answer.decode])]
    for phase in phases:
        assert phase is not None
        assert 0 < phase.busy_ns < phase.host_ns, "a tiny model leaves the device waiting"
        assert phase.kernels >= 1 and phase.launches >= 1
    if knobs:
        assert answer.decode is not None
        assert answer.decode.launches < answer.decode.kernels, "one launch replays a graph"
