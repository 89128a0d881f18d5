"""The time that torch's profiler adds for each slice that it records, measured apart."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import torch

from txtop.worker.explain.ranges import Range

_REPEATS = 5
_PAIRS = 300
"""Ranges with one operator each in a repeat."""


def measure_slice_cost(device: torch.device, start_profile: Callable[[], Any]) -> float:
    """Return the ns that the profiler adds for a slice: a small operator, or a range.

    `start_profile` returns a profile that has started. The fastest of several repeats counts, with
    the profiler as without: others on the machine only ever add.
    """
    tensor = torch.ones(8, device=device)

    def run() -> int:
        from_ns = perf_counter_ns()
        for _ in range(_PAIRS):
            with Range("cost"):
                torch.neg(tensor)
        return perf_counter_ns() - from_ns

    def run_profiled() -> float:
        profile = start_profile()
        spent_ns = run()
        profile.stop()
        return spent_ns

    with torch.inference_mode():
        run()
        run_profiled()
        plain_ns = min(run() for _ in range(_REPEATS))
        profiled_ns = min(run_profiled() for _ in range(_REPEATS))
    return max(0.0, (profiled_ns - plain_ns) / (2 * _PAIRS))
