"""Why sdpa has no kernel: the warnings that torch gives before it raises."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.warm_workers import build_warm_command
from txtop.worker import kernel_warnings

ORIGIN = " (Triggered internally at aten/src/ATen/native/transformers/cuda/sdp_utils.cpp:1)"
# The order and wording of sdp_utils.cpp of torch 2.13.
ON_A_T4 = [
    "Memory efficient kernel not used because:" + ORIGIN,
    "Memory Efficient attention has been runtime disabled." + ORIGIN,
    "Flash attention kernel not used because:" + ORIGIN,
    "Flash attention only supports gpu architectures in the range [sm80, sm121]. Attempting to run"
    " on a sm 7.5 gpu." + ORIGIN,
    "cuDNN attention kernel not used because:" + ORIGIN,
    "cuDNN attention has been runtime disabled." + ORIGIN,
]


@pytest.mark.parametrize(
    ("attention", "reason"),
    [
        (
            "sdpa:flash",
            "Flash attention only supports gpu architectures in the range [sm80, sm121]."
            " Attempting to run on a sm 7.5 gpu",
        ),
        ("sdpa:efficient", "Memory Efficient attention has been runtime disabled"),
        ("sdpa:cudnn", "cuDNN attention has been runtime disabled"),
    ],
)
def test_the_reason_of_the_kernel_that_was_asked_for(attention: str, reason: str) -> None:
    assert kernel_warnings.find_reason(attention, ON_A_T4) == reason


def test_the_newest_reason_counts() -> None:
    older = [ON_A_T4[2], "Expected query, key and value to all be of dtype: {Half}" + ORIGIN]
    reason = kernel_warnings.find_reason("sdpa:flash", older + ON_A_T4[2:4])
    assert reason.startswith("Flash attention only supports")


def test_other_errors_are_not_a_missing_kernel() -> None:
    assert not kernel_warnings.is_missing_kernel(RuntimeError("no kernel image is available"))
    assert not kernel_warnings.is_missing_kernel(ValueError("No available kernel."))


def test_what_torch_really_raises(tmp_path: Path) -> None:
    """In a process of its own: the filter of warnings is that of the whole process."""
    code = """
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from txtop.worker import kernel_warnings
kept = kernel_warnings.KernelWarnings()
kept.install()
query = torch.randn(1, 2, 4, 8)
for _ in range(2):
    kept.texts.clear()
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            torch.nn.functional.scaled_dot_product_attention(query, query, query, dropout_p=0.5)
    except RuntimeError as error:
        assert kernel_warnings.is_missing_kernel(error)
        print(kernel_warnings.find_reason("sdpa:flash", kept.texts))
"""
    script = tmp_path / "raise.py"
    script.write_text(code)
    command = build_warm_command(script)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == ["Both fused kernels do not support non-zero dropout"] * 2
