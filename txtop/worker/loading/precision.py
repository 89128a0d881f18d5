"""The precisions by name, and notes on the precision that the loaded weights have."""

from __future__ import annotations

import torch
from torch import nn

from txtop.formatting import format_share
from txtop.models.attention_kernels import BF16_CAPABILITY
from txtop.models.precision_needs import explain_missing_needs
from txtop.models.precision_rules import explain_missing_precision
from txtop.plan.cell import Cell
from txtop.plan.modes import DEQUANTISED
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError

_TORCHAO_INT8 = ("int8", "int8:weight-only")
DTYPE_NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
# TF32 is a way to multiply fp32 values, not a way to store them.
DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()} | {"tf32": torch.float32}


def require_precision(cell: Cell, device: torch.device) -> None:
    """Check that `device` computes in the precision of `cell`.

    Raises `RejectedError` if it does not.
    """
    accelerator = describe_accelerator(device)
    missing = explain_missing_precision(
        cell.precision, accelerator, compiled=cell.compile != "none"
    ) or explain_missing_needs(cell, accelerator)
    if missing:
        raise RejectedError(*missing)


def keep_in_fp32(model: nn.Module, dtype: torch.dtype) -> None:
    """Convert to fp32 the weights that `model` keeps so, as from_pretrained() does (`wo` of T5)."""
    names: set[str] = set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == torch.float16:
        names |= set(getattr(model, "_keep_in_fp32_modules", None) or ())
    for path, parameter in model.named_parameters():
        if names.intersection(path.split(".")):
            parameter.data = parameter.data.float()


def build_precision_notes(
    model: nn.Module,
    cell: Cell,
    dtype: torch.dtype,
    converted: float | None,
    device: torch.device,
) -> list[str]:
    """Return notes on the precision: the share of the model that has it, and slow kernels.

    `converted` is the share that was converted, `None` if the precision is a dtype.
    """
    if converted is not None:
        name = "int8" if cell.precision.startswith("int8") else cell.precision
        notes = [_format_reach(converted, name)]
        if device.type != "cpu" and cell.compile == "none" and cell.precision in _TORCHAO_INT8:
            notes.append(
                "torchao without the compiler dequantises the weights in every call:"
                " --compile default is what it is made for"
            )
        return notes
    if cell.precision.startswith(DEQUANTISED) or cell.quantization:
        return []
    parameters = list(model.parameters())
    total = sum(p.nbytes for p in parameters)
    other = sum(p.nbytes for p in parameters if p.dtype != dtype)
    notes = []
    if other:
        kept = format_share(other / total)
        notes.append(f"{cell.precision}: the model keeps {kept} of the weight bytes in fp32")
    if cell.precision == "fp16" and device.type == "cpu":
        notes.append("fp16 on a CPU has few fast kernels: expect about a tenth of bf16's speed")
    if cell.precision == "bf16" and describe_accelerator(device).is_below(BF16_CAPABILITY):
        notes.append("bf16 is emulated on a GPU older than sm80: fp16 is its fast type")
    return notes


def _format_reach(converted: float, name: str) -> str:
    share = f"{format_share(converted)} of matrix weights converted"
    return share if converted >= 0.5 else f"{name} in part only: {share}"
