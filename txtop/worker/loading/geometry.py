"""The sizes of a loaded model that the roofline needs, counted in the model itself.

A model whose layers cannot be accounted for has no geometry. See docs/method.md, "Roofline".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from txtop.models import builtin
from txtop.models.purpose import ENCODERS
from txtop.protocol.events import Geometry
from txtop.worker.loading import precision
from txtop.worker.loading.storages import count_read_bytes, count_stored_bytes

# Model types without `num_key_value_heads` that cache keys and values of all heads.
_ALL_HEADS_CACHED = frozenset(
    {
        "biogpt", "bloom", "codegen", "ctrl", "gpt2", "gpt_neo", "gpt_neox", "gptj", "opt",
        "openai-gpt", "xglm",
    }
)  # fmt: skip
# Settings with these prefixes mean that a layer keeps something other than keys and values.
_OTHER_STATE = ("mamba", "ssm_", "conv_", "linear_", "kv_lora", "block_types", "layers_block_type")
# With these, layers or heads share keys and values in a way that is not counted here.
_SHARED = ("num_kv_shared_layers", "attn_config", "multi_query")
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
_WINDOWS = (
    "sliding_window", "local_attention", "window_size", "attention_window", "attention_chunk_size",
)  # fmt: skip
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_ACTIVE = ("num_experts_per_tok", "num_experts_per_token")


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters before a quantisation."""

    all: int
    tables: int
    """In embeddings that are only looked up."""
    once: int
    """In the output head or the pooler, used once per sequence."""
    asleep: int
    """In the experts that one token does not pass through."""


def count_parameters(model: Any, kind: builtin.Family) -> ParameterCounts:
    """Count the parameters of `model`, which is not quantised yet."""
    once = _find_head(model) if kind == "causal" else getattr(model, "pooler", None)
    experts = sum(p.numel() for module in _find_experts(model) for p in module.parameters())
    return ParameterCounts(
        all=sum(p.numel() for p in model.parameters()),
        tables=sum(table.weight.numel() for table in _find_tables(model)),
        once=sum(p.numel() for p in once.parameters()) if isinstance(once, nn.Module) else 0,
        asleep=round(experts * _compute_sleeping_share(model.config)),
    )


def count_experts(model: Any) -> tuple[int, int] | None:
    """Return the experts of a layer, and of how many of them a token passes through, if any."""
    return _read_experts(model.config) if any(True for _ in _find_experts(model)) else None


def build_geometry(
    model: Any, kind: builtin.Family, counted: ParameterCounts, dtype: torch.dtype, arithmetic: str
) -> Geometry | None:
    """Build the geometry of `model` as it is measured, after any quantisation.

    Return `None` for an encoder-decoder, and if the configuration does not tell what the layers
    keep. `arithmetic` is the type of the factors of a product, "" for that of the weights.
    """
    config = model.config.get_text_config(decoder=True)
    heads, layers = (
        _read_positive(config, n) for n in ("num_attention_heads", "num_hidden_layers")
    )
    width = _read_positive(config, "hidden_size")
    # An encoder's pass is counted with attention to both sides.
    one_sided = kind == "encoder" and model.config.model_type not in ENCODERS
    if kind == "seq2seq" or one_sided or heads is None or layers is None or width is None:
        return None
    if not _is_plain(config, kind):
        return None
    tables = _find_tables(model)
    experts = sum(count_stored_bytes(module) for module in _find_experts(model))
    asleep = round(experts * _compute_sleeping_share(config))
    name = precision.DTYPE_NAMES.get(dtype, str(dtype))
    read = count_read_bytes(model) - sum(table.weight.nbytes for table in tables) - asleep
    return Geometry(
        layers=layers,
        heads=heads,
        kv_heads=_read_positive(config, "num_key_value_heads") or heads,
        head_dim=_read_positive(config, "head_dim") or width // heads,
        dtype=arithmetic or name,
        value_bytes=dtype.itemsize,
        position_parameters=counted.all - counted.tables - counted.once - counted.asleep,
        sequence_parameters=counted.once,
        step_bytes=read,
        row_bytes=sum(table.weight[0].nbytes for table in tables),
        window=_find_window(config),
        routed=counted.asleep > 0,
    )


def _find_head(model: Any) -> Any:
    """Return the output head if generate() applies it to the last position of a prompt only."""
    return model.get_output_embeddings() if model._supports_logits_to_keep() else None


def _find_tables(model: nn.Module) -> list[nn.Embedding]:
    """Return the embeddings that are only looked up; a tied one is also a matrix product."""
    from transformers.pytorch_utils import Conv1D

    multiplied = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | Conv1D)}
    embeddings = {id(m.weight): m for m in model.modules() if isinstance(m, nn.Embedding)}
    return [table for weight, table in embeddings.items() if weight not in multiplied]


def _find_experts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that hold the experts of a layer."""
    for path, module in model.named_modules():
        if path.rpartition(".")[2] == "experts":
            yield module


def _compute_sleeping_share(config: Any) -> float:
    """Return the share of the experts that a token does not pass through; 0 without experts."""
    counts = _read_experts(config)
    return 0.0 if counts is None else 1 - counts[1] / counts[0]


def _read_experts(config: Any) -> tuple[int, int] | None:
    """Return the stated number of experts in a layer, and of those that a token passes through."""
    text = config.get_text_config(decoder=True)
    whole = next((n for name in _EXPERTS if (n := _read_positive(text, name))), None)
    active = next((n for name in _ACTIVE if (n := _read_positive(text, name))), None)
    return None if whole is None or active is None else (whole, min(active, whole))


def _is_plain(config: Any, kind: builtin.Family) -> bool:
    """Return True if every layer keeps keys and values of each position, for stated heads."""
    if set(getattr(config, "layer_types", None) or ()) - _ATTENTION:
        return False
    settings = config.to_dict()
    if any(value and key.startswith(_OTHER_STATE) for key, value in settings.items()):
        return False
    if any(settings.get(key) for key in _SHARED):
        return False
    heads_stated = config.model_type in _ALL_HEADS_CACHED or "num_key_value_heads" in settings
    return kind == "encoder" or heads_stated


def _find_window(config: Any) -> int | None:
    """Return the attention window of the layers that have one, `None` if no layer has."""
    kinds = getattr(config, "layer_types", None)
    if kinds and set(kinds) == {"full_attention"}:
        return None
    return next((n for name in _WINDOWS if (n := _read_positive(config, name))), None)


def _read_positive(config: Any, name: str) -> int | None:
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else None
