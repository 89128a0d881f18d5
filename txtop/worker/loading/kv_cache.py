"""The KV cache of a cell: its check, the arguments with which generate() makes it, and its bytes.

The kinds and their conditions are a table in `txtop.models.decoding_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch

from txtop.models.builtin import Family
from txtop.models.decoding_rules import CACHES, explain_missing_cache
from txtop.plan.cell import Cell
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError

_GROUP_SIZES = (64, 32, 16, 8)
"""Values with one scale, the library's default first; a head has to be whole groups."""
RESIDUAL = 128
"""New tokens that an int8 or int4 cache keeps as they are before it quantises them."""


def require_cache(cell: Cell, model: Any, family: Family, config: Any, device: Any) -> None:
    """Check that `model`, a class or an instance of one, can have the KV cache of `cell` here.

    Raises `RejectedError` if it cannot.
    """
    missing = explain_missing_cache(cell, family, describe_accelerator(device))
    if missing:
        raise RejectedError(*missing)
    kind = CACHES[cell.cache]
    if not kind.implementation or family == "encoder":
        return
    if kind.implementation != "static" and not model._supports_default_dynamic_cache():
        raise RejectedError(f"this model makes a cache of its own, not {cell.cache}", "dynamic")
    if kind.backend:
        arguments = build_cache_arguments(cell, config)["cache_config"]
        _try_quantised_cache(cell, config, arguments)


def build_cache_arguments(cell: Cell, config: Any) -> dict[str, Any]:
    """Return the arguments of `GenerationConfig` for the KV cache of `cell`.

    Raises `RejectedError` if the heads of the model cannot be cut into groups.
    """
    kind = CACHES[cell.cache]
    if not kind.backend:
        return {"cache_implementation": kind.implementation}
    quantiser: dict[str, Any] = {"backend": kind.backend}
    if kind.bits is not None:
        # Axis 1 gives each group of neighbours in a head its own scale.
        quantiser |= {
            "nbits": kind.bits,
            "axis_key": 1,
            "axis_value": 1,
            "q_group_size": _choose_group_size(config),
            "residual_length": RESIDUAL,
        }
    return {"cache_implementation": kind.implementation, "cache_config": quantiser}


def describe_cache(cell: Cell, config: Any) -> str:
    """Return how the KV cache of `cell` is quantised; empty for any other."""
    kind = CACHES[cell.cache]
    if not kind.backend:
        return ""
    if kind.bits is None:
        return "fp8 (e4m3) with one scale for the keys of a layer, and one for its values"
    library = f"{kind.package} {version(kind.package)}"
    return (
        f"{library}, int{kind.bits} in groups of {_choose_group_size(config)};"
        f" of the new tokens up to {RESIDUAL - 1} wait unquantised"
    )


def build_quantised_cache(cell: Cell, config: Any) -> Any:
    """Build the empty KV cache of `cell` as generate() does."""
    from transformers import QuantizedCache

    return QuantizedCache(config=config, **build_cache_arguments(cell, config)["cache_config"])


def _try_quantised_cache(cell: Cell, config: Any, arguments: dict[str, Any]) -> None:
    from transformers import QuantizedCache

    try:
        QuantizedCache(config=config, **arguments)
    except (ImportError, ValueError, TypeError) as error:
        # A layer that keeps no keys and values, or a version of the library without this backend.
        raise RejectedError(f"{cell.cache}: {error}", "--cache dynamic") from None


def _choose_group_size(config: Any) -> int:
    text = config.get_text_config(decoder=True)
    heads = int(text.num_attention_heads)
    size = int(getattr(text, "head_dim", None) or text.hidden_size // heads)
    fitting = next((group for group in _GROUP_SIZES if size % group == 0), None)
    if fitting is None:
        raise RejectedError(f"heads of {size} values are no groups of 8", "--cache quantized:fp8")
    return fitting


def count_cache_bytes(cache: Any) -> int | None:
    """Return the bytes that `cache` takes: each storage once, scales included; `None` for none."""
    if cache is None:
        return None
    storages = {
        (tensor.device, storage.data_ptr()): storage.nbytes()
        for tensor in _find_tensors(cache, set())
        if (storage := tensor.untyped_storage()).nbytes()
    }
    return sum(storages.values())


def _find_tensors(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """Yield the tensors in containers, and in the attributes of objects of transformers."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    elif type(value).__module__.startswith("transformers"):
        inner = vars(value).values()
    for part in inner:
        yield from _find_tensors(part, seen)
