"""Checkpoints that are really quantised, made of a plain directory of a Llama with torch alone.

Each projection is packed as its method stores it, so that the libraries which read them load them:
`python packed_checkpoints.py PLAIN TARGET gptq|awq|ct-int8|block-fp8` writes one.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
GROUP = 64
BLOCK = 128
# AWQ packs the eight columns of a word in the order in which its GPU kernel unpacks them.
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def write(plain: Path, target: Path, method: str) -> Path:
    """Write `target` with the model in `plain`, stored by one of `METHODS`, and its tokenizer."""
    pack, quantisation = METHODS[method]
    target.mkdir(parents=True)
    tensors: Tensors = {}
    for name, weight in load_file(plain / "model.safetensors").items():
        base = name.removesuffix(".weight")
        if base.endswith("proj"):
            parts = pack(weight)
            tensors |= {f"{base}.{part}": value.contiguous() for part, value in parts.items()}
        else:
            tensors[name] = weight.clone()
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = quantisation
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for file in (*plain.glob("*token*"), *plain.glob("generation_config.json")):
        shutil.copy(file, target)
    return target


def _pack_gptq(weight: torch.Tensor) -> Tensors:
    """Pack rows of 4 bits along the inputs, with a scale for each group; zero is 8."""
    values, scales = _round_in_groups(weight)
    inputs, outputs = values.shape
    return {
        "qweight": _pack(values.reshape(inputs // 8, 8, outputs).unbind(1)),
        # The format stores the zero less one.
        "qzeros": _pack([torch.full((inputs // GROUP, outputs // 8), 7, dtype=torch.int32)] * 8),
        "scales": scales,
        "g_idx": (torch.arange(inputs) // GROUP).to(torch.int32),
    }


def _pack_awq(weight: torch.Tensor) -> Tensors:
    """Pack 4 bits along the outputs."""
    values, scales = _round_in_groups(weight)
    inputs, outputs = values.shape
    columns = values.reshape(inputs, outputs // 8, 8)
    zeros = torch.full((inputs // GROUP, outputs // 8), 8, dtype=torch.int32)
    return {
        "qweight": _pack([columns[:, :, place] for place in _AWQ_ORDER]),
        "qzeros": _pack([zeros] * 8),
        "scales": scales,
    }


def _pack_int8(weight: torch.Tensor) -> Tensors:
    scale = weight.float().abs().amax(1, keepdim=True) / 127
    values = torch.round(weight.float() / scale).to(torch.int8)
    return {"weight": values, "weight_scale": scale.to(weight.dtype)}


def _pack_block_fp8(weight: torch.Tensor) -> Tensors:
    blocks = [-(-size // BLOCK) for size in weight.shape]
    return {
        "weight": weight.to(torch.float8_e4m3fn),
        "weight_scale_inv": torch.ones(*blocks),
    }


def _round_in_groups(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values from 0 to 15, transposed, and their scales, both by group of inputs."""
    outputs, inputs = weight.shape
    groups = weight.float().reshape(outputs, inputs // GROUP, GROUP)
    scales = (groups.abs().amax(2) / 7).clamp(min=1e-7).half()
    values = torch.round(groups / scales.float()[..., None]) + 8
    whole = values.clamp(0, 15).to(torch.int32).reshape(outputs, inputs)
    return whole.t().contiguous(), scales.t().contiguous()


def _pack(parts: Any) -> torch.Tensor:
    """Return words of 32 bits, the first of eight parts in the lowest bits."""
    word = torch.zeros_like(parts[0])
    for place, part in enumerate(parts):
        word |= part << (4 * place)
    return word


def _describe_group(kind: str) -> dict[str, Any]:
    weights = {"num_bits": 8, "type": kind, "strategy": "channel", "symmetric": True}
    inputs = {**weights, "strategy": "token", "dynamic": True}
    return {"targets": ["Linear"], "weights": weights, "input_activations": inputs}


METHODS: dict[str, tuple[Callable[[torch.Tensor], Tensors], dict[str, Any]]] = {
    "gptq": (
        _pack_gptq,
        {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True,
         "true_sequential": True, "checkpoint_format": "gptq", "lm_head": False},
    ),
    "awq": (
        _pack_awq,
        {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True,
         "version": "gemm", "modules_to_not_convert": None},
    ),
    "ct-int8": (
        _pack_int8,
        {"quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["lm_head"],
         "quantization_status": "compressed", "config_groups": {"group_0": _describe_group("int")}},
    ),
    "block-fp8": (
        _pack_block_fp8,
        {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]},
    ),
}  # fmt: skip

if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
