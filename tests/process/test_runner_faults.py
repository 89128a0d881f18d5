"""A worker that dies, hangs or has no memory left costs its cell alone."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from pathlib import Path

import pytest

from support import fake_worker, tiny_models
from support.fake_run import Run, plan, statuses
from support.paths import SUPPORT
from support.warm_workers import build_warm_command
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.runner.child_process import ChildProcess
from txtop.runner.deadline import SILENCE_S, Deadline
from txtop.runner.worker_failure import diagnose_death
from txtop.system import oom_killer


@pytest.mark.fault(22)
@pytest.mark.fault(25)
@pytest.mark.fault(26)
def test_no_memory_a_hang_and_an_abort_cost_their_cells_alone(tmp_path: Path) -> None:
    """With the real worker: the cell without memory has a batch too large for any machine."""
    models = {name: str(tiny_models.gpt2(tmp_path / name)) for name in ("ok", "hangs", "aborts")}
    model_batches = (("ok", 1), ("ok", 400_000), ("ok", 2), ("hangs", 1), ("aborts", 1), ("ok", 4))
    cells = tuple(
        Cell(id=f"c{n}", model=models[name], batch_size=batch, sequence_length=32, new_tokens=3)
        for n, (name, batch) in enumerate(model_batches, start=1)
    )
    worker = build_warm_command(SUPPORT / "faulty_worker.py")
    run = Run(
        tmp_path / "s", Plan(cells=cells, iterations=3, warmup=1, timeout_s=8.0), worker=worker
    )
    run.run()
    assert run.ended == ("done", True)
    assert statuses(run.state) == ["ok", "oom", "ok", "timeout", "failed", "ok"]
    assert run.state.failed == 3
    starved, _, hung, aborted = (run.state.cells[f"c{n}"].finished for n in (2, 3, 4, 5))
    assert starved and hung and aborted
    assert starved.reason == "out of memory on the host"
    assert (starved.wanted_bytes or 0) > 400_000 * 32
    assert hung.reason == "longer than --timeout 8 s" and hung.phase == "measuring"
    assert aborted.reason.startswith("the worker killed by SIGABRT")
    assert aborted.exit_code == -signal.SIGABRT
    # What was measured after a worker without memory was measured by a fresh one.
    assert run.state.cells["c3"].worker != run.state.cells["c2"].worker


@pytest.mark.fault(25)
def test_a_load_that_hangs_is_given_up_for_all_cells_with_its_weights(tmp_path: Path) -> None:
    base = plan("stuck-in-load", "ok", batches=(1, 2), iterations=2)
    run = Run(tmp_path / "s", Plan(cells=base.cells, iterations=2, warmup=1, timeout_s=1.0))
    run.run()
    assert statuses(run.state) == ["timeout", "timeout", "ok", "ok"]
    assert "the same weights as" in run.state.cells["c002"].reason


@pytest.mark.parametrize("model", sorted(fake_worker.SILENT_WORK))
def test_a_long_silent_load_that_works_is_not_given_up(model: str, tmp_path: Path) -> None:
    """The load is silent for three times the limit."""
    asked = plan(model, iterations=2)
    run = Run(tmp_path / "s", asked, silence_s=0.6, look_s=0.1)
    run.run()
    assert statuses(run.state) == ["ok"]
    progress = run.state.cells["c001"].progress
    assert progress is not None and progress.what == "load" and progress.total is None
    if model == "reads-in-load":
        assert progress.done > 50 * 8192
    else:
        assert progress.cpu_s is not None and progress.cpu_s > 0


@pytest.mark.fault(25)
def test_a_silent_load_that_does_nothing_is_given_up(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("stuck-in-load", iterations=2), silence_s=0.6, look_s=0.1)
    run.run()
    (cell,) = run.state.cells.values()
    assert (cell.status, cell.reason) == ("timeout", "no output for 0.6 s")


@pytest.mark.fault(25)
def test_a_measurement_that_computes_in_silence_is_given_up(tmp_path: Path) -> None:
    """A device that hangs leaves its process spinning, so only a load is believed."""
    run = Run(tmp_path / "s", plan("spins", iterations=2), silence_s=0.6, look_s=0.1)
    run.run()
    (cell,) = run.state.cells.values()
    assert (cell.status, cell.reason) == ("timeout", "no output for 0.6 s")


@pytest.mark.fault(24)
def test_a_worker_with_a_sticky_error_is_not_used_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("sticky", batches=(1, 2)))
    run.run()
    first, second = run.state.cells.values()
    assert statuses(run.state) == ["failed", "failed"]
    assert first.worker != second.worker


def test_a_worker_on_a_gpu_is_used_again_after_an_error_of_the_cell_alone(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("breaks", batches=(1, 2)))
    run.run()
    first, second = run.state.cells.values()
    assert statuses(run.state) == ["failed", "failed"]
    assert first.load is not None and first.load.device == "cuda:0"
    assert (first.worker, second.worker, second.shares_weights) == ("worker:1", "worker:1", True)


def test_patience_ends_with_the_cell_or_with_silence() -> None:
    cell = Deadline(20.0, 100.0)
    cell.note_sign_of_life(119.0)
    assert cell.explain_expiry(120.0) == ""
    assert cell.explain_expiry(120.1) == "longer than --timeout 20 s"
    cell.extend(5.0)
    assert cell.explain_expiry(125.0) == ""
    silent = Deadline(None, 100.0)
    assert silent.explain_expiry(100.0 + SILENCE_S) == ""
    assert silent.explain_expiry(100.1 + SILENCE_S) == "no output for 600 s"
    silent.note_sign_of_life(500.0)
    assert silent.explain_expiry(500.0 + SILENCE_S) == ""


@pytest.mark.fault(23)
def test_a_kill_by_the_memory_killer_is_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([3, 4, 4, 4, 4])
    monkeypatch.setattr(oom_killer, "count_oom_kills", lambda: next(counts))
    run = Run(tmp_path / "s", plan("killed", "killed-again"))
    run.run()
    starved, killed = run.state.cells.values()
    assert (starved.status, killed.status) == ("oom", "failed")
    assert "memory killer" in starved.reason
    assert "killed by SIGKILL" in killed.reason


@pytest.mark.parametrize(("last", "is_memory"), [("  what():  std::bad_alloc", True), ("", False)])
def test_an_allocation_that_nothing_could_catch_is_out_of_memory(
    last: str, is_memory: bool
) -> None:
    process = subprocess.Popen(["sh", "-c", "kill -ABRT $$"], stdin=subprocess.PIPE)
    process.wait()
    child = ChildProcess("worker:1", process, 0, stderr=deque([last]))
    code, reason, out_of_memory = diagnose_death(child)
    assert code == -signal.SIGABRT and out_of_memory is is_memory
    assert ("out of memory" in reason) is is_memory


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("group", "file", "body"),
    [
        ("0::/a/b\n", "sys/fs/cgroup/a/b/memory.events", "low 0\noom 3\noom_kill 2\n"),
        (
            "5:cpu:/x\n4:memory:/a\n",
            "sys/fs/cgroup/memory/a/memory.oom_control",
            "under_oom 0\noom_kill 2\n",
        ),
        ("0::/\n", "proc/vmstat", "nr_free 1\noom_kill 2\n"),
    ],
)
def test_the_killers_count(group: str, file: str, body: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    assert oom_killer.count_oom_kills(tmp_path) == 0
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    assert oom_killer.count_oom_kills(tmp_path) == 2
