"""Checkpoints that are stored quantised: recognised before loading, and not measured as dense.

Their precision is that of their file and not the one that a cell asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txtop.models.weight_files import list_weight_files

_KEYS = ("quantization_config", "compression_config")
_BITS = (("load_in_4bit", "4-bit"), ("load_in_8bit", "8-bit"))
# A file starts with the length of its JSON header, which the format limits to 100 MB.
MAX_HEADER_BYTES = 100_000_000


def describe_scheme(config: Mapping[str, Any]) -> str:
    """Return the scheme that a config.json names, as `gptq 4-bit`; "" for dense weights."""
    parts = (config, config.get("text_config"))
    for part in parts:
        for key in _KEYS:
            asked = part.get(key) if isinstance(part, Mapping) else None
            if asked:
                return _name_scheme(asked)
    return ""


def _name_scheme(asked: Any) -> str:
    if not isinstance(asked, Mapping):
        return "unknown scheme"
    method = asked.get("quant_method") or asked.get("quant_algo") or "unknown scheme"
    bits = next((text for key, text in _BITS if asked.get(key)), "")
    if not bits and isinstance(asked.get("bits"), int):
        bits = f"{asked['bits']}-bit"
    return f"{method} {bits}".strip()


def find_scheme(directory: Path, config: Mapping[str, Any]) -> str:
    """Return the scheme of a directory: that of its config.json, or the dtype of its files.

    A dtype of fewer than 16 bits counts. "" for dense weights and files that cannot be read.
    """
    scheme = describe_scheme(config)
    if scheme:
        return scheme
    try:
        stored = {tensor["dtype"] for path in list_weight_files(directory)
                  for tensor in read_tensors(path).values()}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ""
    return next((str(dtype) for dtype in sorted(stored) if dtype[:2] in ("F4", "F6", "F8")), "")


def explain_quantised(model: str, scheme: str) -> tuple[str, str]:
    """Return reason and hint for refusing `model`, which is stored in `scheme`."""
    reason = f"{model} is stored quantised ({scheme}): its speed as such is not measured yet"
    return reason, "the model it was made from, in --precisions int8 say, or --weights random"


def read_tensors(path: Path) -> dict[str, Any]:
    """Return the entries of a safetensors header by name.

    Raises `OSError`, and `ValueError` if it is none.
    """
    with path.open("rb") as file:
        length = min(int.from_bytes(file.read(8), "little"), MAX_HEADER_BYTES)
        header = json.loads(file.read(length))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}
