"""The geometry of models, counted in real models and compared with torch's own counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    Qwen2Config,
    T5Config,
)

from txtop.models.builtin import Family, find_builtin
from txtop.protocol import events
from txtop.stats import roofline
from txtop.worker.loading import geometry, int8

SMALL: dict[str, Any] = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip


def shaped(name: str, dtype: torch.dtype = torch.float32) -> tuple[Any, Family]:
    """Return a built-in model of its real size without a byte of memory."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    entry = find_builtin(name)
    assert entry is not None
    auto = AutoModelForCausalLM if entry.family == "causal" else AutoModel
    with torch.device("meta"):
        model = auto.from_config(CONFIG_MAPPING[entry.model_type](**entry.config), dtype=dtype)
    return model.eval(), entry.family


def of(model: Any, kind: Family, dtype: torch.dtype = torch.float32) -> events.Geometry:
    built = geometry.build_geometry(model, kind, geometry.count_parameters(model, kind), dtype, "")
    assert built is not None
    return built


def small(config: Any) -> Any:
    return AutoModelForCausalLM.from_config(config).eval()


def test_gpt2_multiplies_its_embedding_as_the_head_and_looks_up_positions() -> None:
    built = of(*shaped("gpt2"))
    assert (built.layers, built.heads, built.kv_heads, built.head_dim) == (12, 12, 12, 64)
    assert built.sequence_parameters == 50257 * 768
    assert built.position_parameters == 124_439_808 - 1024 * 768 - 50257 * 768
    assert built.step_bytes == 4 * (124_439_808 - 1024 * 768)
    assert (built.row_bytes, built.value_bytes, built.dtype) == (4 * 768, 4, "fp32")
    assert (built.window, built.routed) == (None, False)


def test_smollm2_has_a_third_of_its_heads_in_the_cache() -> None:
    built = of(*shaped("SmolLM2-135M", torch.bfloat16), torch.bfloat16)
    assert (built.heads, built.kv_heads, built.head_dim, built.dtype) == (9, 3, 64, "bf16")
    assert built.step_bytes == 2 * 134_515_008 and built.row_bytes == 0


@pytest.mark.parametrize("name", ["gpt2", "SmolLM2-135M", "Qwen3-0.6B"])
def test_torch_counts_the_same_flops_in_a_prefill(name: str) -> None:
    """torch counts products alone, without biases and norms, and all of a causal attention."""
    model, kind = shaped(name)
    built, length, batch = of(model, kind), 512, 2
    ids = torch.zeros(batch, length, dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=ids, logits_to_keep=1)
    expected = _prompt(built, batch, length, roofline.FULL)
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.003)


def test_torch_counts_the_same_flops_in_an_encoder() -> None:
    model, kind = shaped("bert-base-uncased")
    ids = torch.zeros(2, 256, dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=ids)
    expected = _prompt(of(model, kind), 2, 256, roofline.FULL)
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.003)


def _prompt(built: events.Geometry, batch: int, length: int, square: int) -> float:
    return roofline.compute_prompt_flops(
        position_parameters=built.position_parameters,
        sequence_parameters=built.sequence_parameters,
        batch=batch,
        length=length,
        layers=built.layers,
        attention=built.heads * built.head_dim,
        square=square,
    )


def _cached(model: Any, length: int) -> int:
    with torch.inference_mode():
        cache = model(input_ids=torch.zeros(3, length, dtype=torch.int64)).past_key_values
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=96, n_embd=32, n_layer=3, n_head=4),
        LlamaConfig(**SMALL),
        LlamaConfig(**SMALL, head_dim=16),
    ],
    ids=["gpt2", "grouped", "wide heads"],
)
def test_the_real_cache_has_as_many_bytes(config: Any) -> None:
    model = small(config)
    built = of(model, "causal")
    position = roofline.compute_kv_bytes(
        built.layers, built.kv_heads, built.head_dim, built.value_bytes
    )
    assert _cached(model, 10) == 3 * 10 * position


def test_an_embedding_of_its_own_is_looked_up_row_by_row() -> None:
    tied = of(small(LlamaConfig(**SMALL, tie_word_embeddings=True)), "causal")
    apart = of(small(LlamaConfig(**SMALL, tie_word_embeddings=False)), "causal")
    assert apart.step_bytes == tied.step_bytes
    assert apart.position_parameters == tied.position_parameters
    assert (tied.row_bytes, apart.row_bytes) == (0, 4 * 32)


@pytest.mark.parametrize("recipe", ["weight-only", "torch-dynamic"])
def test_int8_unties_the_head_and_reads_a_quarter(recipe: str) -> None:
    model = small(GPT2Config(vocab_size=960, n_embd=64, n_layer=2, n_head=2))
    counted = geometry.count_parameters(model, "causal")
    plain = of(model, "causal")
    int8.convert(model, recipe)
    arithmetic = "" if recipe == "weight-only" else "int8"
    built = geometry.build_geometry(model, "causal", counted, torch.float32, arithmetic)
    assert built is not None
    assert built.position_parameters == plain.position_parameters
    # Scales, biases and norms stay as they are.
    assert plain.step_bytes / 4 < built.step_bytes < plain.step_bytes / 3.2
    assert built.row_bytes == 4 * 64 + 4 * 64
    assert built.dtype == ("fp32" if recipe == "weight-only" else "int8")


def test_a_token_wakes_two_of_eight_experts() -> None:
    config = MixtralConfig(**SMALL, num_local_experts=8, num_experts_per_tok=2)
    model = small(config)
    built, every = of(model, "causal"), 2 * 8 * 3 * 32 * 48
    counted = geometry.count_parameters(model, "causal")
    assert counted.asleep == every * 6 // 8 and built.routed
    assert built.step_bytes == 4 * (counted.all - 96 * 32 - every * 6 // 8)
    assert built.position_parameters == counted.all - 2 * 96 * 32 - every * 6 // 8
    assert geometry.count_experts(model) == (8, 2)
    assert geometry.count_experts(small(MistralConfig(**SMALL))) is None


def test_a_window_is_known() -> None:
    assert of(small(MistralConfig(**SMALL, sliding_window=16)), "causal").window == 16
    # Its configuration speaks of a window that no layer uses.
    assert of(small(Qwen2Config(**SMALL, sliding_window=16)), "causal").window is None


def unknown() -> Iterator[tuple[Any, Family]]:
    yield (
        AutoModelForSeq2SeqLM.from_config(
            T5Config(vocab_size=96, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ),
        "seq2seq",
    )
    yield (
        AutoModelForCausalLM.from_config(
            MambaConfig(vocab_size=96, hidden_size=16, num_hidden_layers=1, state_size=4)
        ),
        "causal",
    )


@pytest.mark.parametrize("number", [0, 1], ids=["t5", "mamba"])
def test_what_keeps_another_state_has_no_geometry(number: int) -> None:
    model, kind = list(unknown())[number]
    counted = geometry.count_parameters(model, kind)
    assert counted.all == sum(p.numel() for p in model.parameters())
    assert geometry.build_geometry(model, kind, counted, torch.float32, "") is None


def test_a_poolers_work_is_done_once() -> None:
    config = BertConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    built = of(AutoModel.from_config(config), "encoder")
    assert built.sequence_parameters == 32 * 32 + 32
    assert (
        built.position_parameters == 2 * (4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32) + 64
    )
