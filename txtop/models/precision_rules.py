"""The rules by which a device computes in the precision of a cell, readable without torch.

The command line and the matrix builder read them before loading, the worker again with the
capability that torch reports.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from txtop.models.attention_kernels import BF16_CAPABILITY, Accelerator

FastPrecision = Literal["bf16", "fp16", "int8"]
# The kernel's names: AVX512-BF16 and AMX of x86, the bf16 instructions of ARM.
_BF16_FEATURES = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def choose_fast_precision(
    accelerator: Accelerator | None, cpu_features: Collection[str]
) -> FastPrecision:
    """Return the reduced precision that the hardware computes in faster than in fp32.

    Without an accelerator the CPU decides: one without units for bf16 emulates it at a quarter of
    fp32's speed.
    """
    if accelerator is not None and accelerator.kind != "cpu":
        return "fp16" if accelerator.is_below(BF16_CAPABILITY) else "bf16"
    return "bf16" if _BF16_FEATURES & set(cpu_features) else "int8"


def explain_missing_precision(
    precision: str, accelerator: Accelerator, *, compiled: bool
) -> tuple[str, str] | None:
    """Return reason and hint if `accelerator` does not compute in `precision`.

    torchao's dynamic recipe without the compiler prints a tensor of the GPU and transposes the
    weight in every call of every layer (`safe_int_mm` of torchao 0.18).
    """
    on_cpu = accelerator.kind == "cpu"
    has_tf32 = accelerator.kind == "cuda" and not accelerator.is_below(BF16_CAPABILITY)
    if precision == "tf32" and not has_tf32:
        return "tf32 needs an NVIDIA GPU from sm80 (Ampere) on", "--precisions fp32"
    if precision == "int8:torch-dynamic" and not on_cpu:
        return f"{precision} has kernels for a CPU alone", "--precisions int8:dynamic"
    if precision == "int8:dynamic" and not on_cpu and not compiled:
        return (
            f"{precision} on a GPU needs --compile: without it the GPU waits in every layer",
            "--compile default, or int8:weight-only",
        )
    return None
