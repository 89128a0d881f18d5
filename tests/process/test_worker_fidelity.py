"""A real worker that compares outputs of tiny models, over the real pipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from support import tiny_models
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.worker.fidelity.scores import OutputComparer

KINDS = ("gpt2", "t5", "bert")
FEWER_KINDS = ["gpt2", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    """Start one worker for all tests: it must be able to load one model after the other."""
    process = WorkerProcess()
    yield process
    process.close()


def cell(path: Path, name: str = "B", **knobs: object) -> Cell:
    return Cell(id=name, model=str(path), device="cpu", **knobs)  # type: ignore[arg-type]


def compare(
    worker: WorkerProcess, reference: Cell, other: Cell, positions: int = 100
) -> events.Fidelity:
    worker.send(
        commands.Compare(
            cell=other,
            reference=reference,
            positions=positions,
            started_ns=worker.started_ns,
            seed=0,
        )
    )
    return worker.until(events.Fidelity)


def changed(path: Path, to: Path, name: str, change: float) -> Path:
    """Copy a model and multiply its tensors whose names contain `name`."""
    to.mkdir()
    (to / "config.json").write_bytes((path / "config.json").read_bytes())
    tensors = load_file(path / "model.safetensors")
    touched = {k: v * np.float32(change) for k, v in tensors.items() if name in k}
    assert touched
    save_file({**tensors, **touched}, to / "model.safetensors", metadata={"format": "pt"})
    return to


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_no_distance_from_itself(
    kind: str, worker: WorkerProcess, tmp_path: Path
) -> None:
    path = getattr(tiny_models, kind)(tmp_path / "m")
    result = compare(worker, cell(path, "A"), cell(path))
    assert (result.failed, result.invalid, result.weights) == ("", 0, "pretrained")
    assert result.same_model and result.positions >= 100 and len(result.input_sha256) == 64
    if kind == "bert":
        assert result.kld is None and result.written == 0
        assert result.cosine_pooled == result.cosine_tokens == pytest.approx(1)
    else:
        assert result.kld == result.floor == 0 and result.top1 == result.positions
        assert result.divergence is None and result.written > 10
        # Without a tokenizer the ids mean nothing, and a perplexity of them neither.
        assert not result.text and result.perplexity_ratio is None and result.texts is None
        assert "no tokenizer" in result.notes[0]


@pytest.mark.parametrize("kind", FEWER_KINDS)
def test_bf16_and_scaled_weights_are_some_distance_away(
    kind: str, worker: WorkerProcess, tmp_path: Path
) -> None:
    path = getattr(tiny_models, kind)(tmp_path / "m")
    reference = cell(path, "A")
    name = {"gpt2": "c_fc", "t5": "wo.weight", "bert": "output.dense"}[kind]
    halved = compare(worker, reference, cell(path, precision="bf16"))
    scaled = compare(worker, reference, cell(changed(path, tmp_path / "x", name, 40.0)))
    assert halved.input_sha256 == scaled.input_sha256
    if kind == "bert":
        assert halved.cosine_tokens is not None and scaled.cosine_tokens is not None
        assert 0.999 < halved.cosine_tokens < 1 > scaled.cosine_tokens
        assert scaled.cosine_tokens < halved.cosine_tokens
    else:
        assert halved.kld is not None and scaled.kld is not None
        assert 0 < halved.kld < scaled.kld and scaled.rms_probability


@pytest.mark.parametrize("kind", FEWER_KINDS)
def test_nan_is_counted_and_there_are_no_figures(
    kind: str, worker: WorkerProcess, tmp_path: Path
) -> None:
    path = getattr(tiny_models, kind)(tmp_path / "m")
    sick = changed(path, tmp_path / "x", "norm" if kind == "t5" else "ln_2" if kind == "gpt2"
                   else "LayerNorm", float("nan"))  # fmt: skip
    result = compare(worker, cell(path, "A"), cell(sick))
    assert result.invalid > 100 and not result.failed
    assert result.kld is result.top1 is result.floor is result.cosine_tokens is None
    other_way = compare(worker, cell(sick, "A"), cell(path))
    assert other_way.failed == "the reference makes NaN or Inf" and not other_way.invalid


def test_what_has_nothing_in_common_is_not_compared(worker: WorkerProcess, tmp_path: Path) -> None:
    gpt2, bert = tiny_models.gpt2(tmp_path / "g"), tiny_models.bert(tmp_path / "b")
    assert "families differ: causal and encoder" in compare(worker, cell(gpt2), cell(bert)).failed
    assert "no model at" in compare(worker, cell(gpt2), cell(tmp_path / "none.gguf")).failed
    larger = tiny_models.gpt2(tmp_path / "l", layers=3)
    result = compare(worker, cell(gpt2), cell(larger))
    assert not result.failed and not result.same_model
    random = compare(worker, cell(gpt2), cell(gpt2, weights="random"))
    assert random.weights == "random"


def test_random_weights_are_only_looked_at_for_nan(worker: WorkerProcess, tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path / "m", weights=False)
    result = compare(worker, cell(path, "A"), cell(path, precision="bf16"), positions=4096)
    assert result.weights == "random" and result.positions == 64 and result.written == 8
    assert result.kld is not None and result.perplexity_ratio is None


def test_progress_is_told_and_the_reference_is_read_once(tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path / "m")
    reported: list[events.AnyEvent] = []
    loads: list[str] = []

    class Counting(OutputComparer):
        def _load(self, cell: Cell, order: commands.Compare, course: object) -> object:  # type: ignore[override]
            loads.append(cell.id)
            return super()._load(cell, order, course)  # type: ignore[arg-type]

    threads = torch.get_num_threads()
    comparison = Counting(1, reported.append, lambda: None)

    def compare_with(other: Cell) -> commands.Compare:
        return commands.Compare(
            cell=other, reference=cell(path, "A"), positions=100, started_ns=0, seed=0
        )

    first = comparison.run(compare_with(cell(path, "B")))
    second = comparison.run(compare_with(cell(path, "C", precision="bf16")))
    torch.set_num_threads(threads)
    assert loads == ["A", "B", "C"]
    assert first.input_sha256 == second.input_sha256 and second.cell == "C"
    progress = [e for e in reported if isinstance(e, events.FidelityProgress)]
    assert {(e.cell, e.reference) for e in progress} == {("B", "A"), ("C", "A")}
    assert all(e.done <= e.total for e in progress)


def test_without_room_on_disk_fewer_positions_are_compared(tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path / "m")
    threads = torch.get_num_threads()
    comparison = OutputComparer(
        1, lambda _: None, lambda: None, room_bytes=130 * 4 * tiny_models.VOCABULARY
    )
    result = comparison.run(
        commands.Compare(
            cell=cell(path), reference=cell(path, "A"), positions=1000, started_ns=0, seed=0
        )
    )
    torch.set_num_threads(threads)
    assert 63 <= result.positions <= 130 and "no room on disk" in " ".join(result.notes)


def test_a_comparison_can_be_cancelled(worker: WorkerProcess, tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path / "m")
    worker.send(
        commands.Compare(
            cell=cell(path),
            reference=cell(path, "A"),
            positions=1_000_000,
            started_ns=worker.started_ns,
            seed=0,
        )
    )
    worker.until(events.FidelityProgress, where=lambda e: e.done > 0)
    before = len(worker.seen)
    worker.send(commands.Cancel(cell="B"))
    worker.until(events.Phase, where=lambda e: e.name == "idle")
    progress = of(events.FidelityProgress, worker.seen)[-1]
    assert progress.cell == "B" and progress.done < progress.total
    assert not any(isinstance(e, events.Fidelity) for e in worker.seen[before:])
    assert compare(worker, cell(path, "A"), cell(path)).kld == 0
