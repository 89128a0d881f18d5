"""Weights that a checkpoint lacks: named, alike in every load, and kept out of the comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch

from support import tiny_models
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.protocol import commands, events
from txtop.state import fidelity
from txtop.worker.fidelity.scores import OutputComparer
from txtop.worker.loading import drawn_parts
from txtop.worker.loading.load import read_model
from txtop.worker.loading.source import resolve_model


def bert_without_pooler(path: Path) -> Path:
    return tiny_models.drop(tiny_models.bert(path), "pooler")


def bert_without_a_layer(path: Path) -> Path:
    return tiny_models.drop(tiny_models.bert(path), "encoder.layer.1.")


def gpt2_without_a_layer(path: Path) -> Path:
    return tiny_models.drop(tiny_models.gpt2(path), "transformer.h.1.mlp")


def gpt2_without_head(path: Path) -> Path:
    return tiny_models.drop(tiny_models.gpt2(path), tie_word_embeddings=False)


def compare(path: Path) -> events.Fidelity:
    """Compare the model in two attention kernels, for which it is loaded twice."""
    eager = Cell(id="A", model=str(path), device="cpu", attention="eager")
    cells = [eager, msgspec.structs.replace(eager, id="B", attention="sdpa")]
    order = commands.Compare(cell=cells[1], reference=cells[0], positions=64, started_ns=0, seed=3)
    return OutputComparer(1, lambda _: None, lambda: None).run(order)


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    ("make", "part", "unknown", "badge"),
    [
        (tiny_models.bert, "", [], "lossless-like"),
        (bert_without_pooler, "pooler", ["pooled"], "lossless-like"),
        (bert_without_a_layer, "encoder.layer.1", ["hidden", "pooled"], "unknown"),
        (gpt2_without_head, "lm_head", ["head"], "lossless-like"),
        (gpt2_without_a_layer, "transformer.h.1.mlp", ["hidden", "head"], "unknown"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_what_depends_on_missing_weights_is_not_compared(
    make: Callable[[Path], Path], part: str, unknown: list[str], badge: str, tmp_path: Path
) -> None:
    result = compare(make(tmp_path / "m"))
    assert (result.failed, result.invalid, result.weights) == ("", 0, "pretrained")
    assert result.unknown == unknown
    assert fidelity.compute_badge(result) == badge
    assert result.kld is None and result.written == 0
    assert any(part in note for note in result.notes) or not part
    if badge == "unknown":
        assert result.cosine_tokens is None
        assert fidelity.format_badge_forms(result)[1] == "weights missing"
    else:
        assert result.cosine_tokens == pytest.approx(1, abs=1e-5)
        assert (result.cosine_pooled is None) == bool(part)
    assert msgspec.json.decode(msgspec.json.encode(result), type=events.Fidelity) == result


@pytest.mark.fault(41)
def test_what_is_drawn_is_alike_in_every_load_and_follows_the_seed(tmp_path: Path) -> None:
    path = bert_without_pooler(tmp_path)
    cell = Cell(id="A", model=str(path), device="cpu")
    source = resolve_model(cell.model, "auto", Allowed(), lambda _: None, lambda *_: None)
    weights = []
    for seed, state in ((3, 1), (3, 2), (4, 1)):
        # The library draws from the state of the process.
        torch.manual_seed(state)
        loaded = read_model(cell, source, seed, 1, lambda _: None)
        assert loaded.drawn == ("pooler.dense.bias", "pooler.dense.weight")
        weights.append(loaded.model.pooler.dense.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert weights[0].std() > 0


def test_parts_are_the_largest_modules_that_are_missing_as_a_whole() -> None:
    weights = [f"layers.{n}.{name}" for n in (0, 1, 10) for name in ("up.weight", "down.weight")]
    for drawn, parts in (
        ([], []),
        (weights[2:4], ["layers.1"]),
        (weights[3:], ["layers.1.down", "layers.10"]),
        (["head"], ["head"]),
    ):
        assert drawn_parts.name_parts(drawn, [*weights, "head"]) == parts
    notes = drawn_parts.build_drawn_notes(["a", "b", "c", "d"])
    assert notes == ["not in the files, so random, and alike in every load: a, b, c and 1 more"]
