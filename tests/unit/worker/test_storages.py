"""Resident bytes are those of storages, and a precision is proven by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from support import tiny_models
from txtop.models import precision_needs
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading import int8, prequantised, quantisers, storages
from txtop.worker.loading.load import LoadedModel, read_model
from txtop.worker.loading.source import resolve_model

CPU = torch.device("cpu")


def llama(**values: int) -> nn.Module:
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1,
             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96}  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **values})).eval()


def count_independently(model: nn.Module) -> int:
    """Every tensor that the collector knows and the model holds, by its storage."""
    import gc

    held: dict[int, int] = {}
    reached: set[int] = set()
    pending: list[object] = [model]
    while pending:
        thing = pending.pop()
        if (
            id(thing) in reached
            or isinstance(thing, type)
            or (callable(thing) and not isinstance(thing, nn.Module))
        ):
            continue
        reached.add(id(thing))
        if isinstance(thing, torch.Tensor):
            try:
                storage = thing.untyped_storage()
                if not hasattr(thing, "__tensor_flatten__"):
                    held[storage.data_ptr()] = storage.nbytes()
            except RuntimeError:
                pass
        module = type(thing).__module__
        if isinstance(thing, dict | list | tuple) or module.split(".")[0] in (
            "torch", "transformers", "torchao", "bitsandbytes"
        ):  # fmt: skip
            pending += gc.get_referents(thing)
    return sum(held.values())


def load(path: Path, **values: str) -> LoadedModel:
    cell = precision_needs.settle_precision(
        Cell(id="c", model=str(path), sequence_length=8, new_tokens=2, **values)
    )
    source = resolve_model(str(path), "auto", Allowed(), lambda _: None, lambda *_: None)
    return read_model(cell, source, 0, 1, lambda _: None)


@pytest.mark.parametrize("precision", ["int4", "nf4", "int8:bnb"])
def test_resident_bytes_are_the_sum_over_storages(precision: str) -> None:
    if precision != "int4":
        pytest.importorskip("bitsandbytes")
    model = llama()
    recipe = quantisers.find_recipe(precision, "cpu")
    assert recipe is not None
    model = model.to(torch.bfloat16 if recipe.base else torch.float32)
    dense = storages.count_stored_bytes(model)
    assert dense == pytest.approx(count_independently(model), rel=0.01)
    quantisers.convert(model, recipe, CPU)
    with torch.inference_mode():
        model(torch.arange(8)[None])
    stored = storages.count_stored_bytes(model)
    assert stored == pytest.approx(count_independently(model), rel=0.01)
    # A packed weight that were counted by its shape would leave the sum as it was.
    assert stored < 0.75 * dense
    products = storages.list_products(model)
    bits = modes.get_bits(precision)
    share = storages.compute_share(products, bits)
    head = 96 * 128
    assert share == pytest.approx(1 - head / sum(p.elements for p in products))


def test_a_dense_weight_is_not_of_4_or_8_bits() -> None:
    products = storages.list_products(llama().to(torch.bfloat16))
    assert storages.compute_share(products, 8) == 0
    assert storages.compute_share(products, 16) == 1
    assert set(storages.sum_by_kind(products)) == {"Linear[bfloat16]"}


def test_a_tied_head_is_counted_once(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2(tmp_path))
    assert storages.count_stored_bytes(model) == (tmp_path / "model.safetensors").stat().st_size - (
        8 + int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    )


def test_gpt2_is_converted_but_for_its_head(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2(tmp_path))
    int8.replace_conv1d(model)
    recipe = quantisers.find_recipe("int4", "cpu")
    assert recipe is not None
    # Rows of 16 do not hold a group of 64: the library leaves them out, and the share says so.
    quantisers.convert(model, recipe, CPU)
    share = storages.compute_share(storages.list_products(model), 4)
    assert 0 < share < 0.5


def write_torchao(folder: Path) -> Path:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    llama().to(torch.bfloat16).save_pretrained(folder / "plain")
    model = AutoModelForCausalLM.from_pretrained(
        folder / "plain", quantization_config=TorchAoConfig(Int8WeightOnlyConfig())
    )
    model.save_pretrained(folder / "stored")
    return folder / "stored"


def write_block_fp8(folder: Path) -> Path:
    from safetensors.torch import save_file

    model = llama().to(torch.bfloat16)
    model.save_pretrained(folder)
    tensors = {}
    for name, weight in model.state_dict().items():
        tensors[name] = weight.clone()
        if name.endswith("proj.weight"):
            rows, columns = (-(-size // 128) for size in weight.shape)
            tensors[name] = weight.to(torch.float8_e4m3fn)
            tensors[f"{name}_scale_inv"] = torch.ones(rows, columns)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_torchao_directory_runs_as_what_it_is(tmp_path: Path) -> None:
    path = write_torchao(tmp_path)
    loaded = load(path)
    kinds = storages.sum_by_kind(storages.list_products(loaded.model))
    assert "Linear[Int8Tensor]" in kinds and loaded.recipe == "stored as torchao:int8"
    assert loaded.converted == pytest.approx(1 - 96 * 128 / 143_360, abs=0.05)
    # Nothing but headers and the odd scale stands between the file and what is resident.
    stored = storages.count_stored_bytes(loaded.model)
    assert stored == pytest.approx((path / "model.safetensors").stat().st_size, rel=0.05)
    assert loaded.counted.all == sum(p.numel() for p in llama().parameters())


def test_a_block_fp8_directory_is_refused_or_called_dequantised(tmp_path: Path) -> None:
    path = write_block_fp8(tmp_path)
    with pytest.raises(RejectedError, match="fp8:block needs an NVIDIA GPU from sm89"):
        load(path)
    forced = json.dumps({"quant_method": "fp8", "dequantize": True})
    loaded = load(path, quantization=forced)
    assert loaded.converted is None
    assert set(storages.sum_by_kind(storages.list_products(loaded.model))) == {"Linear[bfloat16]"}
    # What the library widened on its own cannot carry the label of 8 bits.
    library = prequantised.LibraryLoad("fp8:block", True, torch.bfloat16, {})
    false = Cell(id="c", model=str(path), precision="fp8:block")
    with pytest.raises(RejectedError, match="was dequantised at load"):
        prequantised.require_scheme(loaded.model, false, library)


def test_a_checkpoint_that_was_planned_as_dense_is_refused(tmp_path: Path) -> None:
    path = write_torchao(tmp_path)
    source = resolve_model(str(path), "auto", Allowed(), lambda _: None, lambda *_: None)
    with pytest.raises(RejectedError, match="stored as torchao:int8, which was not known"):
        read_model(Cell(id="c", model=str(path)), source, 0, 1, lambda _: None)


def test_packed_weights_in_a_part_of_the_layer_are_its_own() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_features, self.out_features = 128, 64
            self.op = nn.Module()
            self.op.register_buffer("packed", torch.zeros(64, 64, dtype=torch.uint8))

    model = nn.Sequential(Packed(), nn.Linear(128, 8, bias=False))
    packed, dense = storages.list_products(model)
    assert (packed.bits, dense.bits) == (4, 32)
    assert storages.count_stored_bytes(model) == 64 * 64 + 4 * 128 * 8
    assert storages.compute_share([packed, dense], 4) == pytest.approx(64 / 72)
