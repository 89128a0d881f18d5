"""int8: the recipe for a device and family, the share of a model converted, and the storage."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from support import tiny_models
from txtop.plan.cell import Cell, Compile, Precision
from txtop.worker.failures import RejectedError
from txtop.worker.loading import int8, precision, storages

RECIPES = ("weight-only", "dynamic", "torch-dynamic")


def gpt2(folder: Path) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(tiny_models.gpt2(folder / "gpt2")).eval()


@pytest.mark.parametrize(
    ("asked", "kind", "device", "compiled", "expected"),
    [
        ("fp32", "causal", "cpu", False, ""),
        ("int8", "causal", "cpu", False, "weight-only"),
        ("int8", "seq2seq", "cpu", False, "weight-only"),
        ("int8", "encoder", "cpu", False, "torch-dynamic"),
        ("int8", "encoder", "cpu", True, "torch-dynamic"),
        ("int8", "causal", "cuda", False, "weight-only"),
        ("int8", "seq2seq", "cuda", False, "weight-only"),
        ("int8", "encoder", "cuda", False, "weight-only"),
        ("int8", "encoder", "xpu", False, "weight-only"),
        ("int8", "causal", "cuda", True, "weight-only"),
        ("int8", "encoder", "cuda", True, "dynamic"),
        ("int8:dynamic", "encoder", "cpu", False, "dynamic"),
        ("int8:dynamic", "causal", "cuda", True, "dynamic"),
        ("int8:torch-dynamic", "causal", "cpu", False, "torch-dynamic"),
    ],
)
def test_the_recipe_serves_device_family_and_compiler(
    asked: str, kind: str, device: str, compiled: bool, expected: str
) -> None:
    assert int8.choose_recipe(asked, kind, device, compiled=compiled) == expected


@pytest.mark.parametrize(
    ("name", "compiled", "device", "refusal"),
    [
        ("int8:dynamic", "none", "cuda", "needs --compile"),
        ("int8:dynamic", "none", "xpu", "needs --compile"),
        ("int8:dynamic", "default", "cuda", ""),
        ("int8:dynamic", "none", "cpu", ""),
        ("int8:torch-dynamic", "default", "cuda", "CPU alone"),
        ("int8:torch-dynamic", "none", "cpu", ""),
        ("int8", "none", "cuda", ""),
    ],
)
def test_a_recipe_that_the_device_does_not_run_is_refused(
    name: Precision,
    compiled: Compile,
    device: str,
    refusal: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    cell = Cell(id="c1", model="m", precision=name, compile=compiled)
    with pytest.raises(RejectedError, match=refusal) if refusal else nullcontext():
        precision.require_precision(cell, torch.device(device))


def test_the_doctor_lists_recipes_with_what_they_need() -> None:
    assert int8.list_recipes("cuda") == ["int8:weight-only", "int8:dynamic (with --compile)"]
    assert int8.list_recipes("cpu") == [f"int8:{name}" for name in RECIPES]


@pytest.mark.parametrize(
    ("device", "capability", "dtype"),
    [
        ("cpu", None, torch.float32),
        ("cuda", (7, 0), torch.float16),
        ("cuda", (7, 5), torch.float16),
        ("cuda", (8, 0), torch.bfloat16),
        ("cuda", (12, 0), torch.bfloat16),
        ("xpu", None, torch.bfloat16),
    ],
)
def test_what_is_not_converted_has_a_type_that_the_device_computes_in(
    device: str,
    capability: tuple[int, int] | None,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert int8.choose_base_dtype(torch.device(device)) == dtype
    cell = Cell(id="c1", model="m", precision="bf16")
    notes = precision.build_precision_notes(
        nn.Linear(1, 1, dtype=torch.bfloat16), cell, torch.bfloat16, None, torch.device(device)
    )
    assert [note for note in notes if "emulated" in note] == notes
    assert bool(notes) == (dtype == torch.float16)


@pytest.mark.parametrize(
    ("device", "compiled", "noted"),
    [("cpu", "none", False), ("cuda", "none", True), ("cuda", "default", False)],
)
def test_a_gpu_without_the_compiler_has_a_note(device: str, compiled: Compile, noted: bool) -> None:
    cell = Cell(id="c1", model="m", precision="int8", compile=compiled)
    notes = precision.build_precision_notes(
        nn.Linear(1, 1), cell, torch.float32, 1.0, torch.device(device)
    )
    assert any("dequantises the weights in every call" in note for note in notes) == noted


def _read_settings() -> list[object]:
    """Every setting of the process that a library of quantisation is known to change."""
    from torch._inductor import config

    return [
        torch.get_float32_matmul_precision(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.backends.cudnn.allow_tf32,
        config.save_config_portable(),
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_converting_leaves_the_settings_of_the_process_as_they_were(
    name: str, tmp_path: Path
) -> None:
    model = gpt2(tmp_path)
    before = _read_settings()
    int8.convert(model, name)
    assert _read_settings() == before


def test_an_encoder_gets_torchao_once_torch_has_no_quantisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(int8, "has_torch_int8", lambda: False)
    assert int8.choose_recipe("int8", "encoder", "cpu") == "dynamic"
    with pytest.raises(RejectedError, match="any more"):
        int8.choose_recipe("int8:torch-dynamic", "encoder", "cpu")


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
    monkeypatch.setattr(int8, "replace_conv1d", lambda _: None)
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
    assert storages.count_stored_bytes(model) == 4 * (64 * 32 + 32)
    int8.convert(model, name)
    scales = 8 if name == "torch-dynamic" else 32 * 4
    assert storages.count_stored_bytes(model) == pytest.approx(
        64 * 32 + 32 * 4 + scales, abs=32 * 4
    )


def build_tiny(name: str, **values: int) -> nn.Module:
    import transformers

    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 2, **values}
    model_class = getattr(transformers, name)
    model: nn.Module = model_class(model_class.config_class(**sizes)).float().eval()
    return model


@pytest.mark.fault(42)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("MixtralForCausalLM", {"num_local_experts": 4, "num_experts_per_tok": 2}),
        ("Qwen3MoeForCausalLM", {"num_experts": 4, "num_experts_per_tok": 2, "head_dim": 8,
                                 "moe_intermediate_size": 32, "decoder_sparse_step": 1}),
        ("LlamaForCausalLM", {}),
    ],
)  # fmt: skip
def test_the_share_counts_every_matrix_wherever_it_is_kept(
    name: str, values: dict[str, int]
) -> None:
    model = build_tiny(name, **values)
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    sizes = {
        n: p.nbytes for n, p in model.named_parameters() if p.dim() > 1 and id(p) not in tables
    }
    left = sum(size for n, size in sizes.items() if ".experts." in n or n.endswith("gate.weight"))
    share = int8.convert(model, "weight-only")[1]
    assert share == pytest.approx(1 - left / sum(sizes.values()))
    assert (share < 0.5) == bool(left) and (share == 1) == (not left)
    kept = {str(p.dtype) for n, p in model.named_parameters() if ".experts." in n}
    assert kept == ({"torch.float32"} if left else set())
