"""A real worker with int8, other kernels, a static cache and compiled models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import tiny_models
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cache, Cell, Compile
from txtop.plan.matrix import expand_matrix
from txtop.protocol import commands, events


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess()
    yield process
    process.close()


def cell(path: Path, **knobs: object) -> Cell:
    return Cell(id="c1", model=str(path), sequence_length=8, new_tokens=6, **knobs)  # type: ignore[arg-type]


def test_int8_states_recipe_and_share(worker: WorkerProcess, tmp_path: Path) -> None:
    target = cell(tiny_models.gpt2(tmp_path / "m"), precision="int8")
    load = worker.load(target)
    assert (load.recipe, load.converted_share) == ("torchao weight-only", 1.0)
    assert "convert" in load.phases
    assert "100 % of matrix weights converted" in load.notes
    iterations = of(events.Iteration, worker.measure(target))
    assert [i.tokens for i in iterations] == [6, 6, 6, 6]


def test_kernels_behind_sdpa_share_the_weights(worker: WorkerProcess, tmp_path: Path) -> None:
    flash, math, cudnn = expand_matrix(
        models=[str(tiny_models.gpt2(tmp_path / "m"))],
        precisions=["fp32"],
        attention=["sdpa:flash", "sdpa:math", "sdpa:cudnn"],
        batch_sizes=[1],
        sequence_lengths=[8],
        new_tokens=[3],
    )
    assert flash.group == math.group == cudnn.group
    worker.send(commands.LoadModel(cell=cudnn, started_ns=worker.started_ns, seed=0))
    assert "no kernels for a CPU" in worker.until(events.CellRejected).reason
    worker.load(flash)
    for target, ran in ((flash, "flash"), (math, "math")):
        worker.send(commands.Prepare(cell=target), commands.Inspect(cell=target.id))
        seen = worker.until(events.Kernels)
        assert (seen.cell, seen.prefill, seen.decode) == (target.id, ran, ran)
    worker.send(commands.Prepare(cell=cudnn))
    assert "no kernels for a CPU" in worker.until(events.CellRejected).reason


def test_flex_attention_of_t5_is_refused_on_a_cpu(worker: WorkerProcess, tmp_path: Path) -> None:
    target = Cell(
        id="c1", model=str(tiny_models.t5(tmp_path / "t5")), attention="flex", device="cpu"
    )
    worker.send(commands.LoadModel(cell=target, started_ns=worker.started_ns, seed=0))
    assert "relative positions of t5" in worker.until(events.CellRejected).reason


def test_a_static_cache_makes_the_same_number_of_tokens(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    target = cell(tiny_models.t5(tmp_path / "m"), cache="static")
    worker.load(target)
    iterations = of(events.Iteration, worker.measure(target))
    assert [i.tokens for i in iterations] == [6, 6, 6, 6]
    assert not any(i.lag for i in iterations)


@pytest.mark.parametrize(
    ("kind", "compiled", "cache"),
    [
        ("gpt2", "default", "static"),
        pytest.param("gpt2", "default", "dynamic", marks=pytest.mark.slow),
        pytest.param("gpt2", "reduce-overhead", "static", marks=pytest.mark.slow),
        pytest.param("t5", "default", "static", marks=pytest.mark.slow),
        pytest.param("bert", "default", "dynamic", marks=pytest.mark.slow),
    ],
)
def test_compiling_is_a_phase_of_loading(
    kind: str, compiled: Compile, cache: Cache, worker: WorkerProcess, tmp_path: Path
) -> None:
    target = cell(getattr(tiny_models, kind)(tmp_path / "m"), compile=compiled, cache=cache)
    worker.send(commands.LoadModel(cell=target, started_ns=worker.started_ns, seed=7))
    load = worker.until(events.ModelLoaded, timeout_s=300)
    assert load.phases["compile"] > 10 * load.phases["first_forward"]
    assert sum(load.phases.values()) == pytest.approx(load.load_s, rel=1e-3)
    assert load.compile_cache in ("cold", "warm", "part")
    iterations = of(events.Iteration, worker.measure(target))
    # Nothing is compiled any more once it is loaded.
    assert max(i.e2e_ns for i in iterations[1:]) < load.phases["compile"] * 1e9 / 10


@pytest.mark.slow
def test_the_compilers_cache_is_cold_and_then_warm(tmp_path: Path) -> None:
    asked = cell(tiny_models.bert(tmp_path / "m"), compile="default")
    for state in ("cold", "warm"):
        worker = WorkerProcess(TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
        worker.send(commands.LoadModel(cell=asked, started_ns=worker.started_ns, seed=7))
        load = worker.until(events.ModelLoaded, timeout_s=300)
        assert load.compile_cache == state
        assert any("compiler's cache" in note for note in load.notes) == (state == "warm")
        worker.close()


def test_a_compiled_cell_has_a_worker_of_its_own(tmp_path: Path) -> None:
    eager, longer = cell(tmp_path), cell(tmp_path, batch_size=2)
    assert eager.group == longer.group
    compiled = [cell(tmp_path, compile="default", batch_size=n) for n in (1, 2)]
    assert len({c.group for c in compiled}) == 2
