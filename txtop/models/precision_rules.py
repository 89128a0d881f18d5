"""The rules by which a device computes in the precision of a cell, readable without torch.

The command line and the matrix builder read them before loading, the worker again with the
capability that torch reports.
"""

from __future__ import annotations

from txtop.models.attention_kernels import BF16_CAPABILITY, Accelerator


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
        return "tf32 is for NVIDIA GPUs from sm80 (Ampere) on", "--precisions fp32"
    if precision == "int8:torch-dynamic" and not on_cpu:
        return f"{precision} has kernels for a CPU alone", "--precisions int8:dynamic"
    if precision == "int8:dynamic" and not on_cpu and not compiled:
        return (
            f"{precision} on a GPU needs --compile: without it the GPU waits in every layer",
            "--compile default, or int8:weight-only",
        )
    return None
