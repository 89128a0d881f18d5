"""Exceptions of the libraries, classified."""

from __future__ import annotations

import pytest

from txtop.worker import failures


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("error", "status", "wanted_bytes", "sticky"),
    [
        (MemoryError(), "oom", None, False),
        (MemoryError("Unable to allocate 2.00 TiB for an array with shape"), "oom", 2 << 40, False),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 4000000000000 bytes. Error code 12"
            ),
            "oom", 4_000_000_000_000, False,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.50 GiB."), "oom", 41 << 29, False),
        (RuntimeError("CUDA error: device-side assert triggered"), "failed", None, True),
        (RuntimeError("CUDA error: an illegal memory access"), "failed", None, True),
        (AssertionError("Torch not compiled with CUDA enabled"), "failed", None, False),
        (ValueError("\x1b[31mred\nsecond line"), "failed", None, False),
        (KeyError(), "failed", None, False),
    ],
)  # fmt: skip
def test_failures_are_told_apart(
    error: BaseException, status: str, wanted_bytes: int | None, sticky: bool
) -> None:
    failure = failures.classify(error)
    assert (failure.status, failure.wanted_bytes, failure.sticky) == (status, wanted_bytes, sticky)
    assert failure.reason and failure.hint
    assert "\n" not in failure.reason and "\x1b" not in failure.reason
