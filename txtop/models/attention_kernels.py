"""The rules by which a GPU has a kernel for a cell's attention, readable without torch.

They are those of torch's `aten/src/ATen/native/transformers/cuda/sdp_utils.cpp` (2.11 to 2.13) and
of transformers' `masking_utils.py` (5.17 to 5.23). The command line and the matrix builder read
them before loading, the worker again with the capability that torch reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from txtop.plan import requests
from txtop.plan.cell import Cell
from txtop.plan.modes import DEQUANTISED, find_base, is_dense
from txtop.system.gpus import Capability

CPU_ATTENTIONS = ("eager", "sdpa", "sdpa:flash", "sdpa:math", "flex")
BF16_CAPABILITY = (8, 0)
"""The least compute capability with units for bf16 and TF32."""


@dataclass(frozen=True)
class Accelerator:
    """The facts about a device that decide which kernels it has.

    `kind` is its type in torch. `capability` is CUDA's (major, minor), None if unknown.
    """

    kind: str
    name: str = ""
    capability: Capability | None = None

    @property
    def label(self) -> str:
        """The device as `NVIDIA L4 (sm89)`."""
        if self.capability is None:
            return self.name or self.kind
        return f"{self.name or 'this GPU'} (sm{self.capability[0]}{self.capability[1]})"

    def is_below(self, least: Capability) -> bool:
        """Return True if the capability is known and older than `least`."""
        return self.capability is not None and self.capability < least


@dataclass(frozen=True)
class _Kernel:
    """The conditions of one attention on CUDA."""

    least: Capability = (5, 0)
    dtypes: tuple[str, ...] = ("fp32", "fp16", "bf16")
    takes_mask: bool = True


_HALF = ("fp16", "bf16")
_CUDA_KERNELS = {
    "sdpa:flash": _Kernel((8, 0), _HALF, takes_mask=False),
    "sdpa:cudnn": _Kernel((8, 0), _HALF),
    "sdpa:efficient": _Kernel((5, 0)),
    # Inductor's Triton kernels need Volta.
    "flex": _Kernel((7, 0)),
    "flash_attention_2": _Kernel((8, 0), _HALF),
    # transformers' FLASH_ATTENTION_COMPATIBILITY_MATRIX names the capability.
    "flash_attention_3": _Kernel((8, 0), _HALF),
}
# These add a learned or fixed bias to the scores, which sdpa takes as a mask.
_BIASED = ("t5", "mt5", "umt5", "longt5", "bloom", "mpt")


def get_compute_dtype(precision: str, accelerator: Accelerator) -> str:
    """Return the dtype in which attention runs in `precision`: fp32, fp16 or bf16."""
    if precision.startswith(f"{DEQUANTISED}:"):
        return precision.partition(":")[2]
    if not is_dense(precision):
        if base := find_base(precision, accelerator.kind):
            return base
        if accelerator.kind == "cpu":
            return "fp32"
        return "fp16" if accelerator.is_below(BF16_CAPABILITY) else "bf16"
    return "fp32" if precision == "tf32" else precision


def explain_mask(cell: Cell, config: Mapping[str, Any] | None) -> str:
    """Return why sdpa gets a mask in `cell`, empty if it gets none or `config` does not tell."""
    if config is not None and config.get("model_type") in _BIASED:
        return f"the positions of {config['model_type']} are one"
    if cell.compile != "none":
        return "compiled code always passes one"
    if cell.cache == "static":
        return "a static cache has one in every decode step"
    if cell.scenario == "continuous":
        return "continuous batching has one in every step"
    if cell.scenario == "dynamic" and requests.has_mixed_lengths(cell):
        return "requests of several lengths are padded"
    return ""


def explain_missing_kernel(
    cell: Cell, accelerator: Accelerator, config: Mapping[str, Any] | None
) -> tuple[str, str] | None:
    """Return reason and hint if `accelerator` has no kernel for the attention of `cell`.

    `config` is the model's configuration, None if it is not known. Return None as well for what
    cannot be told before the cell runs.
    """
    attention = cell.attention
    if accelerator.kind == "cpu":
        if attention in CPU_ATTENTIONS:
            return None
        hint = f"on a CPU: {', '.join(CPU_ATTENTIONS)}"
        return f"{attention} has no kernels for a CPU", hint
    kernel = _CUDA_KERNELS.get(attention)
    if accelerator.kind != "cuda" or kernel is None:
        return None
    if accelerator.is_below(kernel.least):
        least = f"sm{kernel.least[0]}{kernel.least[1]}"
        return f"{attention} needs {least} or newer, not {accelerator.label}", "--attention sdpa"
    dtype = get_compute_dtype(cell.precision, accelerator)
    if dtype not in kernel.dtypes:
        hint = f"--precisions {' or '.join(kernel.dtypes)}"
        return f"{attention} on a GPU knows {' and '.join(kernel.dtypes)}, not {dtype}", hint
    if attention == "sdpa:efficient" and dtype == "bf16" and accelerator.is_below(BF16_CAPABILITY):
        return f"{attention} has no bf16 kernel on {accelerator.label}", "--precisions fp16"
    mask = "" if kernel.takes_mask else explain_mask(cell, config)
    if mask:
        return f"{attention} on a GPU takes no mask: {mask}", "--attention sdpa:efficient"
    return None
