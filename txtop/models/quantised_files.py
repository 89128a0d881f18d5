"""The files of a checkpoint: the scheme that they hold, and whether config.json names the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from txtop.models import quantised
from txtop.models.checkpoint_faults import MAX_HEADER_BYTES
from txtop.models.packed_tensors import find_packing_fault
from txtop.models.weight_files import list_weight_files

# Ends of names that plain checkpoints never have, and the methods that do.
_OWN_SIGNS = {
    ".qweight": "GPTQ or AWQ",
    ".absmax": "bitsandbytes",
    ".SCB": "bitsandbytes",
    ".weight_packed": "compressed-tensors",
    ".weight_scale_inv": "fp8",
}


def explain_false_config(directory: Path, config: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return reason and hint if config.json and the files of `directory` contradict each other.

    A configuration may name a quantiser and hold plain weights, or hold weights below 16 bits and
    name none. None for files that are not there or cannot be read.
    """
    tensors = _read_all_tensors(directory)
    quantisation = quantised.find_quantisation(config)
    if not tensors:
        return None
    if quantisation is None:
        scheme = _find_narrow_dtype(tensors) or _name_signed(tensors)
        if not scheme:
            return None
        reason = f"{directory} holds weights in {scheme}, and its config.json names no quantiser"
        return reason, "the quantization_config that belongs to it, or the model it was made from"
    method = quantised.find_method(quantisation)
    if method is None:
        return None
    if _has_sign(method.signs, tensors):
        if fault := find_packing_fault(quantisation, tensors):
            reason = f"{directory}/config.json: its quantization_config has {fault}"
            return reason, "the config.json that its quantiser wrote: download it again"
        return None
    dtypes = ", ".join(sorted({str(tensor.get("dtype")) for tensor in tensors.values()})[:4])
    scheme = quantised.name_scheme(quantisation)
    reason = f"{directory}/config.json names {scheme}, and its weights are plain ({dtypes})"
    return reason, "remove quantization_config from config.json"


def _find_narrow_dtype(tensors: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the first dtype of fewer than 16 bits that is no integer; "" if there is none."""
    stored = {str(tensor["dtype"]) for tensor in tensors.values()}
    return next((dtype for dtype in sorted(stored) if dtype[:2] in ("F4", "F6", "F8")), "")


def _name_signed(tensors: Iterable[str]) -> str:
    """Name the methods whose tensors alone have such names as these; "" for plain ones."""
    for sign, methods in _OWN_SIGNS.items():
        if any(name.endswith(sign) for name in tensors):
            return methods
    return ""


def _has_sign(signs: Iterable[str], tensors: Mapping[str, Mapping[str, Any]]) -> bool:
    ends = tuple(sign for sign in signs if not sign.isalnum())
    dtypes = tuple(sign for sign in signs if sign.isalnum())
    for name, tensor in tensors.items():
        if name.endswith(ends) or (dtypes and str(tensor.get("dtype")).startswith(dtypes)):
            return True
    return False


def _read_all_tensors(directory: Path) -> dict[str, Any]:
    """Return the entries of all headers of a directory; {} if one cannot be read."""
    try:
        files = [(path, path.stat().st_mtime_ns) for path in list_weight_files(directory)]
        return {name: tensor for path, mtime in files
                for name, tensor in _read_header(path, mtime).items()
                if isinstance(tensor, dict) and "dtype" in tensor}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


@lru_cache(maxsize=64)
def _read_header(path: Path, mtime_ns: int) -> dict[str, Any]:
    return read_tensors(path)


def read_tensors(path: Path) -> dict[str, Any]:
    """Return the entries of a safetensors header by name.

    Raises `OSError`, and `ValueError` if it is none.
    """
    with path.open("rb") as file:
        length = min(int.from_bytes(file.read(8), "little"), MAX_HEADER_BYTES)
        header = json.loads(file.read(length))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}
