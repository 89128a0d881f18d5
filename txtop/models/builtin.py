"""Configurations of published architectures, by name, so that they need no network."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec

from txtop.formatting import format_scaled
from txtop.plan.model_names import Family as Family

FAMILY_NAMES: dict[Family, str] = {
    "causal": "decoder", "seq2seq": "encoder-decoder", "encoder": "encoder",
}  # fmt: skip


class BuiltinModel(msgspec.Struct, frozen=True, kw_only=True):
    """A published architecture. `config` holds the arguments of its configuration class."""

    name: str
    hub_id: str
    model_type: str
    family: Family
    config: dict[str, Any]
    parameters: int


def _gpt2(name: str, width: int, layers: int, heads: int, parameters: int) -> BuiltinModel:
    config = {"vocab_size": 50257, "n_positions": 1024, "n_embd": width, "n_layer": layers}
    config |= {"n_head": heads, "bos_token_id": 50256, "eos_token_id": 50256}
    return BuiltinModel(
        name=name, hub_id=f"openai-community/{name}", model_type="gpt2", family="causal",
        config=config, parameters=parameters,
    )  # fmt: skip


def _bert(hub_id: str, width: int, layers: int, heads: int, parameters: int) -> BuiltinModel:
    config = {"vocab_size": 30522, "hidden_size": width, "num_hidden_layers": layers}
    config |= {"num_attention_heads": heads, "intermediate_size": 4 * width}
    config |= {"max_position_embeddings": 512}
    return BuiltinModel(
        name=hub_id.rpartition("/")[2], hub_id=hub_id, model_type="bert", family="encoder",
        config=config, parameters=parameters,
    )  # fmt: skip


def _t5(
    name: str, width: int, inner: int, layers: int, heads: int, parameters: int
) -> BuiltinModel:
    config = {"vocab_size": 32128, "d_model": width, "d_kv": 64, "d_ff": inner, "num_heads": heads}
    config |= {"num_layers": layers, "num_decoder_layers": layers, "decoder_start_token_id": 0}
    return BuiltinModel(
        name=name, hub_id=f"google-t5/{name}", model_type="t5", family="seq2seq",
        config=config, parameters=parameters,
    )  # fmt: skip


def _decoder(
    hub_id: str,
    model_type: str,
    parameters: int,
    positions: int,
    rope: dict[str, Any],
    **config: Any,
) -> BuiltinModel:
    config |= {"max_position_embeddings": positions, "rope_parameters": rope}
    config |= {"tie_word_embeddings": True}
    return BuiltinModel(
        name=hub_id.rpartition("/")[2], hub_id=hub_id, model_type=model_type, family="causal",
        config=config, parameters=parameters,
    )  # fmt: skip


BUILTIN_MODELS: tuple[BuiltinModel, ...] = (
    _gpt2("gpt2", 768, 12, 12, 124_439_808),
    _gpt2("gpt2-medium", 1024, 24, 16, 354_823_168),
    _gpt2("gpt2-large", 1280, 36, 20, 774_030_080),
    _bert("google-bert/bert-base-uncased", 768, 12, 12, 109_482_240),
    _bert("google-bert/bert-large-uncased", 1024, 24, 16, 335_141_888),
    _bert("google/bert_uncased_L-4_H-512_A-8", 512, 4, 8, 28_763_648),
    _t5("t5-small", 512, 2048, 6, 8, 60_506_624),
    _t5("t5-base", 768, 3072, 12, 12, 222_903_552),
    _t5("t5-large", 1024, 4096, 24, 16, 737_668_096),
    _decoder(
        "HuggingFaceTB/SmolLM2-135M", "llama", 134_515_008, 8192,
        {"rope_type": "default", "rope_theta": 100_000.0},
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, head_dim=64, rms_norm_eps=1e-5,
        bos_token_id=0, eos_token_id=0,
    ),
    _decoder(
        "Qwen/Qwen3-0.6B", "qwen3", 596_049_920, 40960,
        {"rope_type": "default", "rope_theta": 1_000_000.0},
        vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
        num_attention_heads=16, num_key_value_heads=8, head_dim=128, rms_norm_eps=1e-6,
        bos_token_id=151643, eos_token_id=151645,
    ),
    _decoder(
        "meta-llama/Llama-3.2-1B", "llama", 1_235_814_400, 131072,
        {
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
        },
        vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, head_dim=64, rms_norm_eps=1e-5,
        bos_token_id=128000, eos_token_id=128001,
    ),
)  # fmt: skip


_BY_NAME = {key.casefold(): model for model in BUILTIN_MODELS for key in (model.name, model.hub_id)}


def find_builtin(model: str) -> BuiltinModel | None:
    """Return the built-in model of that bare name or full Hub id, ignoring case, or None."""
    return _BY_NAME.get(model.casefold())


def suggest_builtin(model: str) -> str | None:
    """Return the built-in name nearest to `model`, for "did you mean", or None."""
    prefix = model.casefold().rpartition("/")[2]
    names = [model.name.casefold() for model in BUILTIN_MODELS]
    completions = [name for name in names if prefix and name.startswith(prefix)]
    candidates = completions or get_close_matches(prefix, names, n=1, cutoff=0.6)
    return _BY_NAME[candidates[0]].name if candidates else None


def describe_model(family: Family, parameters: int | None) -> str:
    """Return `decoder, 135 M parameters`, without a number that is not known."""
    size = " ".join(filter(None, format_scaled(parameters))) if parameters else ""
    return f"{FAMILY_NAMES[family]}, {size} parameters" if size else FAMILY_NAMES[family]
