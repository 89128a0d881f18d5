"""The peaks of devices by their published figures."""

from __future__ import annotations

import pytest

from txtop.protocol import events
from txtop.state.session import merge_peaks
from txtop.system.device_peaks import find_published, read_table


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
    peaks = find_published(name)
    assert peaks is not None
    assert peaks.bandwidth_bytes_per_s == gigabytes * 1e9
    assert peaks.flops_per_s.get("bf16") == (None if bf16 is None else bf16 * 1e12)


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
    halves those); a figure with sparsity would exceed that.
    """
    for name, peaks in read_table().items():
        half = peaks.flops_per_s["fp16"]
        assert 1e11 < peaks.bandwidth_bytes_per_s < 1e13, name
        assert 5e12 < peaks.flops_per_s["fp32"] < 2e14, name
        assert peaks.flops_per_s.get("bf16", half) == half, name
        # TF32 came with bf16, at half its rate.
        assert ("tf32" in peaks.flops_per_s) == ("bf16" in peaks.flops_per_s), name
        assert peaks.flops_per_s.get("tf32", half / 2) == pytest.approx(half / 2, rel=0.02), name
        most = 4.01 if "geforce" in name else 2.03
        assert peaks.flops_per_s.get("int8", half) <= most * half, name
        # Tensor cores have outrun their memories by so much, and by twice that with sparsity.
        assert 50 < half / peaks.bandwidth_bytes_per_s < 500, name


def test_the_best_of_two_workers_counts() -> None:
    def peaks(bandwidth: float, **flops: float) -> events.DevicePeaks:
        return events.DevicePeaks(
            t_ns=0, device="A CPU", threads=1, source="probe",
            bandwidth_bytes_per_s=bandwidth, flops_per_s=flops,
        )  # fmt: skip

    merged = merge_peaks(peaks(14e9, fp32=1e11, bf16=9e11), peaks(12e9, fp32=2e11))
    assert merged.bandwidth_bytes_per_s == 14e9
    assert merged.flops_per_s == {"fp32": 2e11, "bf16": 9e11}
