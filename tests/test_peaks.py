"""What devices can do at most: the table, what two workers say, what is tried on this machine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from bench_process import WorkerProcess, of

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.state.fold import merge_peaks
from txtop.system.device_peaks import find_published, read_table
from txtop.worker import memory, peak_probe

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "gigabytes", "bf16"),
    [
        ("NVIDIA H100 80GB HBM3", 3350, 989.4),
        ("NVIDIA H100 PCIe", 2039, 756),
        ("NVIDIA H200", 4800, 989.4),
        ("NVIDIA A100-SXM4-40GB", 1555, 312),
        ("A100-SXM4-40GB", 1555, 312),
        ("NVIDIA A100-SXM4-80GB", 2039, 312),
        ("NVIDIA A100 80GB PCIe", 1935, 312),
        ("NVIDIA L4", 300, 121),
        ("NVIDIA L40S", 864, 362),
        ("NVIDIA A10", 600, 125),
        ("Tesla T4", 320, None),
        ("Tesla V100-SXM2-16GB", 900, None),
        ("NVIDIA B200", 8000, 2250),
        ("NVIDIA GeForce RTX 4090", 1008, 165.2),
        ("NVIDIA GeForce RTX 3090", 936, 71),
    ],
)
def test_a_device_is_known_by_the_name_that_torch_and_nvml_give_it(
    name: str, gigabytes: float, bf16: float | None
) -> None:
    found = find_published(name)
    assert found is not None
    assert found.bandwidth_bytes_per_s == gigabytes * 1e9
    assert found.flops_per_s.get("bf16") == (None if bf16 is None else bf16 * 1e12)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA A10G",
        "AMD EPYC",
        "",
    ],
)
def test_what_only_looks_like_a_device_is_another(name: str) -> None:
    assert find_published(name) is None


def test_the_table_is_dense_and_in_units_of_one() -> None:
    """Dense int8 is at most twice bf16 or fp16 with sums in fp32 (four times on a GeForce, which
    halves those); a figure with sparsity would stand out."""
    for name, each in read_table().items():
        half = each.flops_per_s["fp16"]
        assert 1e11 < each.bandwidth_bytes_per_s < 1e13, name
        assert 5e12 < each.flops_per_s["fp32"] < 2e14, name
        assert each.flops_per_s.get("bf16", half) == half, name
        most = 4.01 if "geforce" in name else 2.03
        assert each.flops_per_s.get("int8", half) <= most * half, name
        # Tensor cores have outrun their memories by so much, and by twice that with sparsity.
        assert 50 < half / each.bandwidth_bytes_per_s < 500, name


def test_the_best_of_two_workers_counts() -> None:
    def told(bandwidth: float, **flops: float) -> events.DevicePeaks:
        return events.DevicePeaks(
            t_ns=0, device="A CPU", threads=1, source="probe",
            bandwidth_bytes_per_s=bandwidth, flops_per_s=flops,
        )  # fmt: skip

    found = merge_peaks(told(14e9, fp32=1e11, bf16=9e11), told(12e9, fp32=2e11))
    assert found.bandwidth_bytes_per_s == 14e9
    assert found.flops_per_s == {"fp32": 2e11, "bf16": 9e11}


def test_this_machine_can_do_something() -> None:
    bandwidth = peak_probe.measure_bandwidth(CPU, 16 << 20)
    flops = peak_probe.measure_flops(CPU, torch.float32)
    # From the slowest board to the largest server; a unit that is off by a thousand is not within.
    assert 1e8 < bandwidth < 1e13 and math.isfinite(bandwidth)
    assert 1e8 < flops < 1e15 and math.isfinite(flops)


def test_the_probe_leaves_no_trace_in_the_peak_of_memory() -> None:
    assert memory.reset_peaks(CPU)
    before = memory.read_host_peak_bytes()
    found = peak_probe._probe(CPU, torch.bfloat16)
    assert found is not None and list(found.flops_per_s) == ["bf16"]
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


def test_a_worker_tells_them_after_loading_and_before_anything_is_timed(tmp_path: Path) -> None:
    directory = tiny.gpt2(tmp_path / "large", weights=False)
    config = json.loads((directory / "config.json").read_text())
    # 50 MB of weights: with a model that fits the caches nothing is tried.
    (directory / "config.json").write_text(json.dumps(config | {"n_embd": 1024, "n_layer": 1}))
    worker = WorkerProcess("w1")
    load = worker.load(Cell(id="c0", model=str(directory), weights="random"))
    worker.send(commands.Prepare(cell=Cell(id="c0", model=str(directory), sequence_length=8)))
    worker.until(events.Workload)
    assert worker.close() == 0
    (found,) = of(events.DevicePeaks, worker.seen)
    assert (found.source, found.threads) == ("probe", load.threads)
    assert found.device == load.device_name and list(found.flops_per_s) == ["fp32"]
    told = [type(event) for event in worker.seen]
    assert (
        told.index(events.ModelLoaded)
        < told.index(events.DevicePeaks)
        < told.index(events.Workload)
    )
