"""Resident bytes are those of storages, and a precision is proven by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from support import packed_checkpoints, tiny_models
from txtop.models import precision_needs
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading import int8, prequantised, quantisers, storages
from txtop.worker.loading.load import read_model
from txtop.worker.loading.load_event import build_event
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.source import resolve_model

CPU = torch.device("cpu")


def llama(**values: int) -> nn.Module:
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1,
             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96}  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **values})).eval()


def find_held(model: object) -> dict[int, int]:
    """Return the size of each storage of a tensor that the collector knows and the model holds."""
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
            "torch", "transformers", "torchao", "bitsandbytes", "gptqmodel", "compressed_tensors"
        ):  # fmt: skip
            pending += gc.get_referents(thing)
    return held


def count_independently(model: object) -> int:
    return sum(find_held(model).values())


class ReadStorages(TorchDispatchMode):
    """The storages that operators are given, those of packed weights one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        pending = tree_leaves((args, kwargs))
        while pending:
            value = pending.pop()
            if hasattr(value, "__tensor_flatten__"):
                pending += [getattr(value, name) for name in value.__tensor_flatten__()[0]]
            elif isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                self.sizes[storage.data_ptr()] = storage.nbytes()
        return func(*args, **(kwargs or {}))


def count_read_independently(loaded: LoadedModel, held: dict[int, int]) -> int:
    """Every storage of those `held` that an operator of a decode step is given."""
    with torch.inference_mode():
        cache = loaded.model(torch.arange(8)[None], use_cache=True).past_key_values
        with ReadStorages() as read:
            loaded.model(torch.tensor([[8]]), past_key_values=cache)
    return sum(size for place, size in read.sizes.items() if held.get(place) == size)


def settle(path: Path, **values: str) -> Cell:
    return precision_needs.settle_precision(
        Cell(id="c", model=str(path), sequence_length=8, new_tokens=2, **values)
    )


def load(path: Path, **values: str) -> LoadedModel:
    cell = settle(path, **values)
    source = resolve_model(str(path), "auto", Allowed(), lambda _: None, lambda *_: None)
    return read_model(cell, source, 0, 1, lambda _: None)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Llama in bf16 with an output head of its own, in random values of one seed."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("llama")
    llama().to(torch.bfloat16).save_pretrained(path)
    return path


def require_bytes(loaded: LoadedModel, independent: int) -> int:
    """Check what is counted, and what MBU reads, against an independent sum of bytes."""
    stored = storages.count_stored_bytes(loaded.model)
    assert stored == pytest.approx(independent, rel=0.01)
    geometry, table = loaded.geometry, loaded.model.get_input_embeddings().weight
    assert geometry is not None
    # torch's own int8 layers hold their weights where no operator is seen to take them from.
    opaque = any(map(storages.is_torch_packed, loaded.model.modules()))
    read = stored if opaque else count_read_independently(loaded, find_held(loaded.model))
    print(
        f"{loaded.recipe or loaded.dtype}: resident {stored:,} B, by the collector {independent:,},"
        f" in files {loaded.source.weight_bytes:,}; a step {geometry.step_bytes:,},"
        f" by its operators {read - table.nbytes:,}"
    )
    assert geometry.step_bytes == pytest.approx(read - table.nbytes, rel=0.01)
    return stored


DENSE = sum(parameter.numel() for parameter in llama().parameters())
# Every precision that a CPU makes; int8 is one of its recipes.
MADE = [m.name for m in modes.MODES if m.needs.on_cpu and not m.stored_only
        and m.name not in ("tf32", "int8")]  # fmt: skip


@pytest.mark.parametrize("precision", MADE)
def test_resident_bytes_are_the_sum_over_storages(precision: str, plain: Path) -> None:
    if modes.BY_NAME[precision].needs.libraries[:1] == ("bitsandbytes",):
        pytest.importorskip("bitsandbytes")
    loaded = load(plain, precision=precision)
    with torch.inference_mode():
        loaded.model(torch.arange(8)[None])
    packed = precision == "int8:torch-dynamic"
    held = loaded.model.state_dict() if packed else loaded.model
    stored = require_bytes(loaded, count_independently(held))
    bits = modes.get_bits(precision)
    # The kernel of int4 widens what it reads, and is held against the peak of that.
    assert loaded.geometry is not None
    assert not precision.startswith("int4") or loaded.geometry.dtype == "fp32"
    if modes.is_dense(precision):
        assert stored == DENSE * bits / 8 and loaded.converted is None
        return
    # A packed weight that were counted by its shape would leave the sum as it was.
    base = loaded.model.get_input_embeddings().weight.itemsize
    assert stored < 0.75 * DENSE * base
    head = 96 * 128 if modes.skips_head(precision) else 0
    assert loaded.converted == pytest.approx(1 - head / (DENSE - 96 * 128), abs=0.005)


def test_fp8_is_counted_as_it_is_stored() -> None:
    model = llama().to(torch.bfloat16)
    recipe = quantisers.find_recipe("fp8:weight-only", "cuda")
    assert recipe is not None
    # A CPU makes the weights of it and does not multiply them.
    quantisers.convert(model, recipe, CPU)
    stored = storages.count_stored_bytes(model)
    assert stored == pytest.approx(count_independently(model), rel=0.01)
    assert stored < 0.75 * DENSE * 2
    assert storages.compute_share(storages.list_products(model), 8) == 1


def count_file(path: Path) -> int:
    """Return the bytes of the tensors in a file of weights: all but its header."""
    body = (path / "model.safetensors").read_bytes()
    return len(body) - 8 - int.from_bytes(body[:8], "little")


# The libraries that read each, and its precision.
PACKED: dict[str, tuple[list[str], str]] = {
    "gptq": (["gptqmodel", "optimum"], "gptq:int4-g64"),
    "awq": (["gptqmodel"], "awq:int4-g64"),
    "ct-int8": (["compressed_tensors"], "dequantised:bf16"),
}


@pytest.mark.parametrize("method", list(PACKED))
def test_a_packed_checkpoint_takes_about_the_bytes_of_its_file(
    method: str, plain: Path, tmp_path: Path
) -> None:
    needed, precision = PACKED[method]
    for name in needed:
        pytest.importorskip(name)
    path = packed_checkpoints.write(plain, tmp_path / "packed", method)
    loaded = load(path)
    assert settle(path).precision == precision
    stored = require_bytes(loaded, count_independently(loaded.model))
    if modes.is_dense(precision):
        assert stored == pytest.approx(2 * DENSE, rel=0.01) and stored > 1.5 * count_file(path)
        assert loaded.converted is None
    else:
        # A kernel may keep scales and zeros wider than the file does, and never the weights.
        assert count_file(path) <= 1.01 * stored < 1.2 * count_file(path)
        assert any("in the files" in note for note in build_event(loaded, settle(path), "w").notes)
        assert loaded.converted == pytest.approx(1 - 96 * 128 / (DENSE - 96 * 128), abs=0.005)
        # A kernel that is asked for is in the precision, and not in what the files are stored as.
        kernel = {"gptq": "gptq_torch_fused", "awq": "torch_fused_awq"}[method]
        asked = {"quant_method": method, "bits": 4, "backend": kernel}
        cell = settle(path, quantization=json.dumps(asked))
        library = prequantised.find_library_load(cell, loaded.source, CPU)
        assert cell.precision == f"{precision}/torch_fused"
        assert library is not None and library.describe() == f"stored as {precision}"
    assert loaded.counted.all == DENSE


@pytest.mark.parametrize(
    ("quantisation", "precision"),
    [
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "bnb:nf4"),
        ({"load_in_8bit": True}, "bnb:int8"),
    ],
)
def test_a_checkpoint_of_bitsandbytes_takes_the_bytes_of_its_file(
    quantisation: dict[str, Any], precision: str, plain: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    # Made at load by a configuration, saved, and loaded as it is stored.
    made = load(plain, quantization=json.dumps(quantisation))
    assert made.recipe == f"converted at load: {precision}"
    made.model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert settle(tmp_path).precision == precision
    assert loaded.recipe == f"stored as {precision}"
    stored = require_bytes(loaded, count_independently(loaded.model))
    assert stored == pytest.approx(count_file(tmp_path), rel=0.01)


def test_a_dense_weight_is_not_of_4_or_8_bits() -> None:
    products = storages.list_products(llama().to(torch.bfloat16))
    assert storages.compute_share(products, 8) == 0
    assert storages.compute_share(products, 16) == 1
    assert set(storages.sum_by_kind(products)) == {"Linear[bfloat16]"}


def test_a_tied_head_is_counted_once(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.gpt2(tmp_path))
    assert storages.count_stored_bytes(model) == count_file(tmp_path)


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


def test_a_torchao_directory_runs_as_what_it_is(tmp_path: Path) -> None:
    path = write_torchao(tmp_path)
    loaded = load(path)
    kinds = storages.sum_by_kind(storages.list_products(loaded.model))
    assert "Linear[Int8Tensor]" in kinds and loaded.recipe == "stored as torchao:int8"
    assert loaded.converted == pytest.approx(1 - 96 * 128 / 143_360, abs=0.05)
    stored = require_bytes(loaded, count_independently(loaded.model))
    assert stored == pytest.approx(count_file(path), rel=0.01)
    assert loaded.counted.all == sum(p.numel() for p in llama().parameters())


def test_a_block_fp8_directory_is_refused_or_called_dequantised(
    plain: Path, tmp_path: Path
) -> None:
    path = packed_checkpoints.write(plain, tmp_path / "fp8", "block-fp8")
    with pytest.raises(RejectedError, match="fp8:block needs an NVIDIA GPU from sm89"):
        load(path)
    forced = json.dumps({"quant_method": "fp8", "dequantize": True})
    loaded = load(path, quantization=forced)
    assert loaded.converted is None
    assert set(storages.sum_by_kind(storages.list_products(loaded.model))) == {"Linear[bfloat16]"}
    assert require_bytes(loaded, count_independently(loaded.model)) == 2 * DENSE
    # A person reads that it takes more than its files, and a size that is theirs needs no words.
    cell = Cell(id="c", model=str(path), precision="dequantised:bf16", quantization=forced)
    notes = [n for n in build_event(loaded, cell, "worker:1").notes if "in the files" in n]
    assert len(notes) == 1 and "KiB in memory, " in notes[0] and notes[0].endswith("x")
    assert prequantised.build_size_notes(1010, 1000) == []
    # What the library widened on its own cannot carry the label of 8 bits.
    library = prequantised.LibraryLoad("fp8:block", True, torch.bfloat16, {})
    false = Cell(id="c", model=str(path), precision="fp8:block")
    with pytest.raises(RejectedError, match="was dequantised at load"):
        prequantised.require_scheme(loaded.model, false, library)


def test_rounding_that_is_emulated_in_every_call_is_named() -> None:
    stored = {"quant_method": "compressed-tensors", "config_groups": {}}
    cell = Cell(id="c", model="m", precision="dequantised:bf16")
    first, second = prequantised.build_widened_notes(cell, stored)
    assert first == "stored as ct:unknown, dequantised at load: bf16"
    assert "emulates its rounding in every call" in second and '"dequantize": true' in second
    forced = json.dumps({"quant_method": "compressed-tensors", "dequantize": True})
    widened = msgspec.structs.replace(cell, quantization=forced)
    assert prequantised.build_widened_notes(widened, stored) == [first]


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


@pytest.mark.parametrize(
    ("kernel", "identity", "unread"),
    [
        ("TorchFusedLinear", None, ("g_idx", "scales", "qzeros")),
        ("TorchAtenLinear", True, ("g_idx", "scales", "qzeros", "ret_idx")),
        ("TorchAtenAwqLinear", None, ("g_idx", "scales", "qzeros")),
        ("TorchCpuAvx512Linear", True, ("g_idx", "ret_idx", "scales_and_zeros")),
        ("TorchLinear", None, ()),
    ],
)
def test_a_step_reads_what_the_kernel_multiplies_and_not_what_it_was_packed_from(
    kernel: str, identity: bool | None, unread: tuple[str, ...]
) -> None:
    sizes = {"qweight": 64, "scales": 8, "qzeros": 4, "g_idx": 16, "bias": 2}

    module: Any = type(kernel, (nn.Module,), {})()
    module.in_features, module.out_features, module.linear_mode = 16, 8, None
    for name, size in sizes.items():
        module.register_buffer(name, torch.zeros(size, dtype=torch.uint8))
    module.ret_idx, module.scales_and_zeros = (torch.zeros(n, dtype=torch.uint8) for n in (5, 3))
    module._ret_idx_identity = identity
    model = nn.Sequential(module)
    sizes |= {"ret_idx": 5, "scales_and_zeros": 3}
    whole = sum(sizes.values())
    assert storages.count_stored_bytes(model) == storages.count_read_bytes(model) == whole
    module.linear_mode = "inference"
    assert storages.count_stored_bytes(model) == whole
    assert storages.count_read_bytes(model) == whole - sum(sizes[name] for name in unread)
