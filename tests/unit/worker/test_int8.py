"""int8: the recipe for a device and family, the share of a model converted, and the storage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from support import tiny_models
from txtop.worker.failures import RejectedError
from txtop.worker.loading import int8

RECIPES = ("weight-only", "dynamic", "torch-dynamic")


def gpt2(folder: Path) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(tiny_models.gpt2(folder / "gpt2")).eval()


@pytest.mark.parametrize(
    ("precision", "kind", "device", "expected"),
    [
        ("fp32", "causal", "cpu", ""),
        ("int8", "causal", "cpu", "weight-only"),
        ("int8", "seq2seq", "cpu", "weight-only"),
        ("int8", "encoder", "cpu", "torch-dynamic"),
        ("int8", "encoder", "cuda", "dynamic"),
        ("int8:torch-dynamic", "causal", "cpu", "torch-dynamic"),
    ],
)
def test_the_recipe_serves_device_and_family(
    precision: str, kind: str, device: str, expected: str
) -> None:
    assert int8.choose_recipe(precision, kind, device) == expected


def test_an_encoder_gets_torchao_once_torch_has_no_quantisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(int8, "_has_torch_int8", lambda: False)
    assert int8.choose_recipe("int8", "encoder", "cpu") == "dynamic"
    with pytest.raises(RejectedError, match="any more"):
        int8.choose_recipe("int8:torch-dynamic", "encoder", "cpu")


def test_torch_dynamic_is_refused_on_a_gpu() -> None:
    with pytest.raises(RejectedError, match="CPU alone"):
        int8.choose_recipe("int8:torch-dynamic", "encoder", "cuda")


@pytest.mark.parametrize("name", RECIPES)
def test_all_of_gpt2_is_converted(name: str, tmp_path: Path) -> None:
    model = gpt2(tmp_path)
    ids = torch.arange(8)[None]
    before = model(ids).logits.detach()
    description, share = int8.convert(model, name)
    assert name in description
    assert share == 1.0
    with torch.inference_mode():
        after = model(ids).logits
    assert torch.allclose(before, after, atol=0.05 * float(before.abs().max()))
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", RECIPES)
def test_without_conv1d_only_the_head_of_gpt2_is_reached(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "_replace_conv1d", lambda _: None)
    _, share = int8.convert(gpt2(tmp_path), name)
    head = tiny_models.VOCABULARY * tiny_models.WIDTH
    blocks = 2 * 12 * tiny_models.WIDTH**2
    assert share == pytest.approx(head / (head + blocks))
    assert share < 0.5


@pytest.mark.parametrize("name", RECIPES)
def test_a_tied_embedding_counts_once_as_the_head(name: str, tmp_path: Path) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny_models.t5(tmp_path / "t5")).eval()
    assert model.lm_head.weight is model.shared.weight
    sizes = [size for size, _ in int8._find_products(model).values()]
    layers, attentions, inner = 2, 3, 16
    blocks = layers * (
        attentions * 4 * inner * tiny_models.WIDTH + 2 * 2 * tiny_models.WIDTH * tiny_models.INNER
    )
    assert sum(sizes) == 4 * (blocks + tiny_models.VOCABULARY * tiny_models.WIDTH)
    _, share = int8.convert(model, name)
    assert share == 1.0


def test_a_layer_that_is_left_out_lowers_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = AutoModel.from_pretrained(tiny_models.bert(tmp_path / "bert")).eval()

    def only_the_pooler(encoder: nn.Module) -> str:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(encoder.pooler, Int8WeightOnlyConfig())
        return "the pooler"

    monkeypatch.setitem(int8._RECIPES, "weight-only", only_the_pooler)
    _, share = int8.convert(model, "weight-only")
    layer = 4 * tiny_models.WIDTH**2 + 2 * tiny_models.WIDTH * tiny_models.INNER
    assert share == pytest.approx(tiny_models.WIDTH**2 / (tiny_models.WIDTH**2 + 2 * layer))


@pytest.mark.parametrize("name", RECIPES)
def test_stored_bytes_are_those_of_int8_and_its_scales(name: str) -> None:
    model = nn.Sequential(nn.Linear(64, 32))
    assert int8.count_stored_bytes(model) == 4 * (64 * 32 + 32)
    int8.convert(model, name)
    scales = 8 if name == "torch-dynamic" else 32 * 4
    assert int8.count_stored_bytes(model) == pytest.approx(64 * 32 + 32 * 4 + scales, abs=32 * 4)
