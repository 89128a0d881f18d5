"""The peaks of devices as probed on this machine."""

from __future__ import annotations

import math

import pytest
import torch

from txtop.worker import memory, peak_probe

CPU = torch.device("cpu")


def test_this_machine_can_do_something() -> None:
    bandwidth = peak_probe.measure_bandwidth(CPU, 16 << 20)
    flops = peak_probe.measure_flops(CPU, torch.float32)
    # From the slowest board to the largest server; a unit that is off by a thousand is not within.
    assert 1e8 < bandwidth < 1e13 and math.isfinite(bandwidth)
    assert 1e8 < flops < 1e15 and math.isfinite(flops)


def test_the_probe_leaves_no_trace_in_the_peak_of_memory() -> None:
    assert memory.reset_peaks(CPU)
    before = memory.read_host_peak_bytes()
    peaks = peak_probe._probe(CPU, torch.bfloat16)
    assert peaks is not None and list(peaks.flops_per_s) == ["bf16"]
    assert memory.read_host_peak_bytes() > before + peak_probe.BUFFER_BYTES["cpu"] // 2
    memory.reset_peaks(CPU)
    assert memory.read_host_peak_bytes() < before + peak_probe.BUFFER_BYTES["cpu"] // 4


@pytest.mark.parametrize("free", [0, 8 * peak_probe.MIN_BUFFER_BYTES - 1])
def test_nothing_is_tried_where_there_is_no_room(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak_probe, "_free_bytes", lambda _: free)
    monkeypatch.setattr(peak_probe, "measure_bandwidth", lambda *_: pytest.fail("tried"))
    assert peak_probe._probe(CPU, torch.float32) is None


def test_nothing_is_tried_where_it_would_stay_in_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "reset_peaks", lambda _: False)
    monkeypatch.setattr(peak_probe, "measure_bandwidth", lambda *_: pytest.fail("tried"))
    assert peak_probe._probe(CPU, torch.float32) is None


def test_a_probe_that_finds_no_memory_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> float:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(peak_probe, "measure_bandwidth", full)
    assert peak_probe._probe(CPU, torch.float32) is None
