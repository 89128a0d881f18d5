"""A model over two real ranks, on gloo: its output, its figures, and the death of a rank.

Each worker with ranks starts another cold process, so that tests share what they can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support import tiny_models
from support.waiting import WAIT_S
from support.worker_process import WorkerProcess, of
from txtop.models.local_accelerator import count_devices
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.stats.fidelity_bands import compute_floor
from txtop.worker.failures import EXIT_DEVICE_LOST

pytestmark = pytest.mark.skipif((count_devices("cpu") or 1) < 2, reason="one core")
POSITIONS = 100


def cell(path: Path, name: str, parallel: str = "tp=2", **knobs: int) -> Cell:
    return Cell(
        id=name, model=str(path), device="cpu", parallel=parallel, threads=1,
        **{"sequence_length": 8, "new_tokens": 20, **knobs},  # type: ignore[arg-type]
    )  # fmt: skip


def find_ranks(name: str) -> list[psutil.Process]:
    """Return the living processes that follow the worker `name`."""
    living = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if f"{name}.1" in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            living.append(process)
    return living


def wait_for_none(name: str) -> None:
    _, living = psutil.wait_procs(find_ranks(name), timeout=60)
    assert not living


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def worker(llama: Path) -> Iterator[WorkerProcess]:
    """Start a worker whose model is cut over itself and one more process."""
    process = WorkerProcess(f"ranks{os.getpid()}")
    process.load(cell(llama, "c0"))
    yield process
    process.close()
    wait_for_none(f"ranks{os.getpid()}")


def test_each_rank_measures_and_tells_its_memory(worker: WorkerProcess, llama: Path) -> None:
    load = of(events.ModelLoaded, worker.seen)[0]
    assert (load.ranks, load.parameters, load.weight_bytes) == (2, 6224, 4 * 6224)
    assert load.geometry is None and "2 ranks" in load.notes[0]
    worker.send(
        commands.Prepare(cell=cell(llama, "c1")),
        commands.Iterate(cell="c1", role="first", index=0),
        commands.Inspect(cell="c1"),
        commands.Iterate(cell="c1", role="measured", index=1, count=3),
        commands.Finish(cell="c1"),
    )
    memory = worker.until(events.Memory)
    assert memory.host_bytes and [bool(part.host_bytes) for part in memory.parts] == [True]
    iterations = of(events.Iteration, worker.seen)
    assert [i.tokens for i in iterations] == [20] * 4 and not any(i.invalid for i in iterations)
    # Keys and values of two layers, in fp32: the last token is not cached.
    assert iterations[0].cache_bytes == 2 * 2 * 4 * 8 * (8 + 20 - 1)
    shares = of(events.Kernels, worker.seen)[0].communication
    assert len(shares) == 2 and all(0 < share < 1 for share in shares)


def test_the_output_is_that_of_one_process(worker: WorkerProcess, llama: Path) -> None:
    worker.send(
        commands.Compare(
            cell=cell(llama, "B"),
            reference=cell(llama, "A", "none"),
            positions=POSITIONS,
            started_ns=worker.started_ns,
            seed=0,
        )
    )
    output = worker.until(events.Fidelity)
    assert output.failed == "" and output.same_model and output.positions >= POSITIONS
    assert output.top1 == output.positions and output.divergence is None
    assert output.kld is not None and output.kld < compute_floor(output.floor)


@pytest.mark.fault(26)
def test_a_rank_that_is_killed_ends_the_cell_and_every_process(
    worker: WorkerProcess, llama: Path
) -> None:
    name = f"ranks{os.getpid()}"
    worker.load(cell(llama, "c2"))
    worker.send(
        commands.Prepare(cell=cell(llama, "c2")),
        commands.Iterate(cell="c2", role="measured", index=0, count=100_000),
    )
    worker.until(events.Iteration, where=lambda iteration: iteration.cell == "c2")
    (rank,) = find_ranks(name)
    rank.kill()
    finished = worker.until(events.CellFinished)
    assert (finished.status, finished.reason) == ("failed", "rank 1 died (killed by signal 9)")
    assert finished.sticky and worker.process.wait(WAIT_S) == EXIT_DEVICE_LOST
    wait_for_none(name)


@pytest.mark.slow
def test_ranks_end_with_rank_0(llama: Path) -> None:
    name = f"orphans{os.getpid()}"
    process = WorkerProcess(name)
    process.load(cell(llama, "c0"))
    assert len(find_ranks(name)) == 1
    process.process.kill()
    process.process.wait()
    wait_for_none(name)
