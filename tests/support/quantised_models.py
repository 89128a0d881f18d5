"""Tiny checkpoints that are stored quantised: config.json and the tensors that their method has.

Written without the libraries that read them: a header in the format of safetensors, and zeros.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from support import tiny_models

_BYTES = {"F8_E4M3": 1, "I8": 1, "U8": 1, "BF16": 2, "F16": 2, "I32": 4, "F32": 4}
# The tensors of one layer in each method, and the configuration that names it.
METHODS: dict[str, tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]] = {
    "gptq:int4-g128": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128},
        {"fc.qweight": ("I32", [2, 16]), "fc.scales": ("F16", [1, 16])},
    ),
    "awq:int4-g64": (
        {"quant_method": "awq", "bits": 4, "group_size": 64},
        {"fc.qweight": ("I32", [16, 2]), "fc.scales": ("F16", [1, 16])},
    ),
    "bnb:nf4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        {"fc.weight": ("U8", [128, 1]), "fc.weight.absmax": ("F32", [4])},
    ),
    "bnb:int8": (
        {"load_in_8bit": True},
        {"fc.weight": ("I8", [16, 16]), "fc.SCB": ("F32", [16])},
    ),
    "fp8:block": (
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        {"fc.weight": ("F8_E4M3", [16, 16]), "fc.weight_scale_inv": ("F32", [1, 1])},
    ),
    "mxfp4": (
        {"quant_method": "mxfp4"},
        {"experts.gate_up_proj_blocks": ("U8", [2, 16, 1, 16])},
    ),
    "torchao:int8": (
        {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}},
        {"fc._weight_qdata": ("I8", [16, 16]), "fc._weight_scale": ("BF16", [16, 1])},
    ),
}  # fmt: skip


def write(directory: Path, method: str, **config: Any) -> Path:
    """Write a checkpoint in one of `METHODS`."""
    quantisation, tensors = METHODS[method]
    tiny_models.gpt2(directory, weights=False)
    set_config(directory, quantization_config=quantisation, **config)
    write_tensors(directory, tensors)
    return directory


def set_config(directory: Path, **config: Any) -> None:
    """Set keys of config.json."""
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config), encoding="utf-8")


def write_tensors(directory: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """Write model.safetensors with zeros, by name: dtype and shape."""
    header: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * _BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    body = len(text).to_bytes(8, "little") + text + bytes(at)
    (directory / "model.safetensors").write_bytes(body)
