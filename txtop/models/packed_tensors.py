"""The shapes of packed GPTQ and AWQ tensors, held against the configuration that describes them.

Both keep `qweight` of 32-bit words and `scales` of a row a group. GPTQ packs along the inputs, AWQ
along the outputs. A kernel that is told otherwise fails after the load, or reads other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORD_BITS = 32
_FORMATS = {"gptq": ("checkpoint_format", ("gptq", "gptq_v2")), "awq": ("version", ("gemm",))}


def find_packing_fault(
    quantisation: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return what the tensors contradict in a configuration of GPTQ or AWQ; "" if nothing.

    The first layer speaks for all; a configuration with settings by layer is not judged.
    """
    method = str(quantisation.get("quant_method"))
    key, formats = _FORMATS.get(method, ("", ()))
    if not key or quantisation.get("dynamic"):
        return ""
    if str(quantisation.get(key) or formats[0]).lower() not in formats:
        return ""
    stems = (name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight"))
    stem = next((stem for stem in stems if f"{stem}.scales" in tensors), None)
    if stem is None:
        return ""
    rows, columns = _read_shape(tensors[f"{stem}.qweight"])
    groups, outputs = _read_shape(tensors[f"{stem}.scales"])
    bits = quantisation.get("bits") or quantisation.get("w_bit") or 4
    if method == "gptq" and columns != outputs:
        return "quant_method gptq, and its tensors are packed as those of awq"
    if method == "awq" and columns == outputs:
        return "quant_method awq, and its tensors are packed as those of gptq"
    inputs = rows * _WORD_BITS // bits if method == "gptq" else rows
    if method == "awq" and columns * _WORD_BITS != outputs * bits:
        return f"bits {bits}, and its tensors have {columns * _WORD_BITS // max(outputs, 1)}"
    order = tensors.get(f"{stem}.g_idx")
    if order is not None and (true := _read_shape(order)[0]) and true != inputs:
        return f"bits {bits}, and its tensors have {rows * _WORD_BITS // true}"
    size = quantisation.get("group_size", 128)
    size = size if size > 0 else inputs
    if groups and groups != -(-inputs // size):
        return f"group_size {size}, and its tensors have {inputs // groups}"
    return ""


def _read_shape(tensor: Mapping[str, Any]) -> tuple[int, int]:
    """Return the shape of a matrix, or (length, 1) of a vector; zeros for what is neither."""
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(n) is int for n in shape):
        return 0, 0
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[0], 1)
