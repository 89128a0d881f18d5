"""A model over several devices is refused, before anything is loaded, where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tiny_models
from txtop.models import parallel_rules
from txtop.models.attention_kernels import Accelerator
from txtop.models.parallel_rules import explain_missing_parallel
from txtop.plan.cell import Cell
from txtop.plan.serving import Serving

CPU, GPU = Accelerator("cpu"), Accelerator("cuda", "NVIDIA H200", (9, 0))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a machine with four cores and four GPUs, and a recent library."""
    monkeypatch.setattr(parallel_rules, "count_devices", lambda _: 4)
    monkeypatch.setattr(parallel_rules, "version", lambda _: "5.23.0")


@pytest.mark.parametrize(
    ("knobs", "device", "reason"),
    [
        ({}, CPU, ""),
        ({"parallel": "tp=2"}, CPU, ""),
        ({"parallel": "tp=4"}, GPU, ""),
        ({"parallel": "tp=4"}, None, ""),
        ({"parallel": "tp=8"}, GPU, "tp=8 needs 8 GPUs: this machine shows 4"),
        ({"parallel": "tp=8"}, CPU, "tp=8 needs 8 cores: this process may use 4"),
        ({"parallel": "tp=4", "device": "cpu:0-1"}, CPU, "this process may use 2"),
        ({"parallel": "tp=2", "device": "cuda:1"}, GPU, "from the first on"),
        ({"parallel": "auto", "device": "GPU-1234"}, GPU, "from the first on"),
        ({"parallel": "pp"}, CPU, "pp deals layers to GPUs, and a CPU is one device"),
        ({"parallel": "auto"}, CPU, "a CPU is one device"),
        ({"parallel": "pp"}, GPU, ""),
        ({"parallel": "tp=2"}, Accelerator("mps"), "not for mps"),
        ({"parallel": "tp=2", "compile": "default"}, CPU, "not compiled"),
        ({"parallel": "tp=2", "cache": "static"}, CPU, "dynamic KV cache"),
        ({"parallel": "tp=2", "speculative": "prompt-lookup:10"}, CPU, "one token a step"),
        ({"parallel": "tp=2", "precision": "int8"}, CPU, "plain weights, not int8"),
        ({"parallel": "tp=2", "scenario": "single", "serving": Serving()}, CPU, "full batches"),
        ({"parallel": "tp=2", "model": "x.gguf"}, CPU, "safetensors"),
        ({"parallel": "tp=3"}, CPU, "tp=3 cannot deal 32 attention heads and 8 key-value heads"),
    ],
)
def test_it_is_refused_by_work_device_and_model(
    knobs: dict[str, object], device: Accelerator | None, reason: str
) -> None:
    cell = Cell(**{"id": "c", "model": "Llama-3.2-1B", **knobs})  # type: ignore[arg-type]
    missing = explain_missing_parallel(cell, device)
    assert missing is None if not reason else missing is not None and reason in missing[0]


def test_an_older_library_is_refused_for_ranks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_rules, "version", lambda _: "5.16.2")
    refused = explain_missing_parallel(Cell(id="c", model="Llama-3.2-1B", parallel="tp=2"), CPU)
    assert refused is not None and "transformers 5.17 or newer, not 5.16.2" in refused[0]
    layers = Cell(id="c", model="Llama-3.2-1B", parallel="pp")
    assert explain_missing_parallel(layers, GPU) is None


def test_uneven_heads_name_a_number_that_fits(tmp_path: Path) -> None:
    path = tiny_models.llama(tmp_path / "m", weights=False)
    refused = explain_missing_parallel(Cell(id="c", model=str(path), parallel="tp=4"), CPU)
    assert refused == ("tp=4 cannot deal 2 key-value heads evenly", "--parallel tp=2")
