"""The size of a model: its parameters, its KV cache, and the memory that a cell needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txtop.models.builtin import find_builtin
from txtop.models.model_config import find_config, find_local_path
from txtop.models.purpose import detect_family
from txtop.models.quantised import describe_scheme, read_tensors
from txtop.models.weight_files import list_weight_files
from txtop.plan import modes, requests
from txtop.plan.cell import Cell


def _count_stored_parameters(directory: Path) -> int | None:
    """Count the elements of all tensors in a directory's weights, from their headers."""
    count = 0
    for path in list_weight_files(directory):
        count += sum(math.prod(tensor["shape"]) for tensor in read_tensors(path).values())
    return count or None


def find_parameter_count(model: str) -> int | None:
    """Return the parameters of a model, or None if unknown.

    A built-in name has a published number; of a local directory the stored elements are counted,
    unless they are packed: several parameters then share one.
    """
    path = find_local_path(model)
    if describe_scheme(find_config(model) or {}):
        return None
    if path is not None:
        try:
            return _count_stored_parameters(path) if path.is_dir() else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
    builtin = find_builtin(model)
    return builtin.parameters if builtin else None


def _find_first_integer(config: Mapping[str, Any], *keys: str) -> int | None:
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def count_kv_values_per_token(config: Mapping[str, Any]) -> int | None:
    """Return 2 x layers x kv_heads x head_dim of the decoder, or None if one is not stated."""
    layers = _find_first_integer(
        config, "num_decoder_layers", "num_hidden_layers", "n_layer", "num_layers"
    )
    heads = _find_first_integer(
        config, "num_attention_heads", "n_head", "num_heads", "decoder_attention_heads"
    )
    width = _find_first_integer(config, "hidden_size", "n_embd", "d_model")
    if layers is None or heads is None or width is None:
        return None
    head_dim = _find_first_integer(config, "head_dim", "d_kv") or width // heads
    return 2 * layers * (_find_first_integer(config, "num_key_value_heads") or heads) * head_dim


def predict_bytes(cell: Cell) -> int | None:
    """Predict the bytes of weights plus KV cache at its full length, or None if unknown.

    Both are in the cell's precision. A server is counted with the longest requests in every slot.
    An encoder-decoder caches the encoder's positions too, once, for its cross attention.
    """
    config, parameters = find_config(cell.model), find_parameter_count(cell.model)
    if config is None or parameters is None:
        return None
    size = modes.get_bits(cell.precision) / 8
    if detect_family(config, find_local_path(cell.model)) == "encoder":
        return round(parameters * size)
    per_token = count_kv_values_per_token(config)
    if per_token is None:
        return None
    tokens = cell.slots * sum(requests.compute_max_tokens(cell))
    return round(size * parameters + max(size, 1) * per_token * tokens)
