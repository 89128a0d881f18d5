"""The precision a cell asks for, and what the loaded weights really are."""

from __future__ import annotations

import torch
from torch import nn

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def keep_in_fp32(model: nn.Module, dtype: torch.dtype) -> None:
    """Raises what the model keeps in fp32, as from_pretrained() does (T5's `wo` in fp16)."""
    names: set[str] = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == torch.float16:
        names |= set(getattr(model, "_keep_in_fp32_modules", None) or ())
    for path, parameter in model.named_parameters():
        if names.intersection(path.split(".")):
            parameter.data = parameter.data.float()


def build_precision_notes(
    model: nn.Module,
    precision: str,
    wanted: torch.dtype,
    converted: float | None,
    device: torch.device,
) -> list[str]:
    """What a reader must know about the precision: how much of the model has it, a slow path."""
    if converted is not None:
        return [_format_reach(converted)]
    parameters = list(model.parameters())
    total = sum(p.nbytes for p in parameters)
    other = sum(p.nbytes for p in parameters if p.dtype != wanted)
    found = []
    if other:
        found.append(
            f"{precision}: the model keeps {other / total:.0%} of the weight bytes in fp32"
        )
    if precision == "fp16" and device.type == "cpu":
        found.append("fp16 on a CPU has few fast kernels: expect about a tenth of bf16's speed")
    return found


def _format_reach(converted: float) -> str:
    share = f"{converted:.0%} of the bytes of matrix-product weights converted"
    return share if converted >= 0.5 else f"int8 in part only: {share}"
