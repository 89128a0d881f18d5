"""The peaks of devices as probed on this machine."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from txtop.worker import memory, peak_probe
from txtop.worker.loading import precision

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
    peaks = peak_probe._probe(CPU, torch.bfloat16, "bf16")
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
    assert peak_probe._probe(CPU, torch.float32, "fp32") is None


def test_nothing_is_tried_where_it_would_stay_in_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "reset_peaks", lambda _: False)
    monkeypatch.setattr(peak_probe, "measure_bandwidth", lambda *_: pytest.fail("tried"))
    assert peak_probe._probe(CPU, torch.float32, "fp32") is None


def test_a_probe_that_finds_no_memory_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> float:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(peak_probe, "measure_bandwidth", full)
    assert peak_probe._probe(CPU, torch.float32, "fp32") is None


class Properties:
    name = "H100 80GB HBM3"
    L2_cache_size = 50 << 20


@pytest.mark.parametrize(
    ("step_bytes", "has_peaks"), [(31 << 20, False), (49 << 20, False), (50 << 20, True)]
)
def test_a_model_that_fits_into_the_cache_of_the_gpu_has_no_peaks(
    step_bytes: int, has_peaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    loaded: Any = SimpleNamespace(
        geometry=SimpleNamespace(step_bytes=step_bytes, dtype="fp32"),
        device=torch.device("cuda"),
        dtype=torch.float32,
        threads=1,
    )
    peaks = peak_probe.determine_peaks(loaded, Properties.name, "GPU-1")
    assert (peaks is not None) == has_peaks
    assert peaks is None or (peaks.source, peaks.cache_bytes) == ("table", 50 << 20)


@pytest.mark.parametrize(
    ("arithmetic", "dtype", "name"),
    [
        ("fp32", torch.float32, "fp32"),
        ("tf32", torch.float32, "tf32"),
        ("fp32", torch.bfloat16, "fp32"),  # int4 on a CPU
        ("int8", torch.bfloat16, "bf16"),
    ],
)
def test_what_products_multiply_is_probed_under_its_name(
    arithmetic: str, dtype: torch.dtype, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak_probe, "measure_bandwidth", lambda *_: 1e9)
    probed = []
    monkeypatch.setattr(
        peak_probe, "measure_flops", lambda _, dtype, *__: probed.append(dtype) or 2e9
    )
    loaded: Any = SimpleNamespace(
        geometry=SimpleNamespace(step_bytes=1 << 30, dtype=arithmetic),
        device=CPU,
        dtype=dtype,
        threads=1,
    )
    peaks = peak_probe.determine_peaks(loaded, "a device", None)
    assert peaks is not None and peaks.flops_per_s == {name: 2e9}
    assert set(probed) == {precision.DTYPES[name]}


def test_several_threads_are_never_slower_than_one_and_a_spoilt_round_is_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = 2
    used: list[int] = []
    # With two threads a neighbour spoils the first round of products, and both of the bandwidth.
    flops = iter([3e9, 100e9, 160e9])
    bandwidths = iter([7e9, 16e9, 6e9])

    def set_threads(count: int) -> None:
        nonlocal threads
        threads = count
        used.append(count)

    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", set_threads)
    monkeypatch.setattr(peak_probe, "measure_flops", lambda *_: next(flops))
    monkeypatch.setattr(peak_probe, "measure_bandwidth", lambda *_: next(bandwidths))
    peaks = peak_probe._probe(CPU, torch.float32, "fp32")
    assert peaks is not None
    assert (peaks.bandwidth_bytes_per_s, peaks.flops_per_s) == (16e9, {"fp32": 160e9})
    assert used == [2, 1, 2, 2], "the threads of the cell are what it is measured with"
