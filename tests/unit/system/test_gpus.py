"""The GPUs of the machine by name, and their compute capability."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.system import gpus, torch_build
from txtop.system.device_peaks import read_table
from txtop.system.gpus import Gpu


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA H100 80GB HBM3", (9, 0)),
        ("NVIDIA H200", (9, 0)),
        ("NVIDIA GH200 480GB", (9, 0)),
        ("NVIDIA B200", (10, 0)),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (8, 0)),
        ("A100-PCIE-40GB", (8, 0)),
        ("NVIDIA A10", (8, 6)),
        ("NVIDIA A10G", (8, 6)),
        ("NVIDIA RTX A6000", (8, 6)),
        ("NVIDIA L4", (8, 9)),
        ("NVIDIA L40S", (8, 9)),
        ("NVIDIA RTX 6000 Ada Generation", (8, 9)),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", (8, 9)),
        ("NVIDIA GeForce RTX 5090", (12, 0)),
        ("Tesla T4", (7, 5)),
        ("NVIDIA GeForce GTX 1660 Ti", (7, 5)),
        ("Tesla V100-SXM2-16GB", (7, 0)),
        ("Tesla P100-PCIE-16GB", (6, 0)),
        ("NVIDIA A1000000", None),
        ("AMD Instinct MI300X", None),
        ("", None),
    ],
)
def test_the_name_tells_the_capability(name: str, capability: tuple[int, int] | None) -> None:
    assert gpus.find_capability(name) == capability


def test_every_gpu_with_published_peaks_has_a_capability() -> None:
    assert [name for name in read_table() if gpus.find_capability(name) is None] == []


def test_the_driver_lists_its_gpus(tmp_path: Path) -> None:
    for address, model in (("0000:41:00.0", "Tesla T4"), ("0000:01:00.0", "NVIDIA L4")):
        (tmp_path / address).mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 44\nGPU UUID: \t GPU-1\n"
        (tmp_path / address / "information").write_text(text)
    (tmp_path / "0000:99:00.0").mkdir()
    assert gpus.list_gpus(tmp_path) == [Gpu("NVIDIA L4", "GPU-1"), Gpu("Tesla T4", "GPU-1")]
    assert gpus.list_gpus(tmp_path / "absent") == []


ALIKE = [Gpu("NVIDIA L4", f"GPU-{letter * 8}-1") for letter in "abc"]
MIXED = [ALIKE[0], Gpu("NVIDIA H100 80GB HBM3", "GPU-dddddddd-1")]


@pytest.mark.parametrize(
    ("device", "present", "environ", "selected"),
    [
        ("auto", ALIKE, {}, 0),
        ("cuda", ALIKE, {}, 0),
        ("cuda:2", ALIKE, {}, 2),
        ("cuda:3", ALIKE, {}, None),
        ("cpu", ALIKE, {}, None),
        ("xpu:1", ALIKE, {}, None),
        ("GPU-bbbb", ALIKE, {}, 1),
        ("GPU-", ALIKE, {}, None),
        ("MIG-bbbbbbbb", ALIKE, {}, None),
        ("cuda:0", ALIKE, {"CUDA_VISIBLE_DEVICES": "2,0"}, 2),
        ("cuda:1", ALIKE, {"CUDA_VISIBLE_DEVICES": "2,0"}, 0),
        ("cuda:2", ALIKE, {"CUDA_VISIBLE_DEVICES": "2,0"}, None),
        ("cuda:1", ALIKE, {"CUDA_VISIBLE_DEVICES": "1,-1,2"}, None),
        ("auto", ALIKE, {"CUDA_VISIBLE_DEVICES": "GPU-cccc"}, 2),
        ("auto", ALIKE, {"CUDA_VISIBLE_DEVICES": ""}, None),
        # CUDA puts the fastest first, and which that is NVML does not tell.
        ("cuda:1", MIXED, {}, None),
        ("cuda:1", MIXED, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, 1),
        ("GPU-dd", MIXED, {}, 1),
        ("auto", [], {}, None),
    ],
)
def test_the_gpu_that_a_device_names(
    device: str, present: list[Gpu], environ: dict[str, str], selected: int | None
) -> None:
    expected = None if selected is None else present[selected]
    assert gpus.select_gpu(device, present, environ) == expected


@pytest.mark.parametrize(
    ("device", "drivers", "built", "reason"),
    [
        ("auto", (), False, ""),
        ("cpu", (), False, ""),
        ("cuda", ("nvidiactl",), True, ""),
        ("cuda:1", ("kfd",), True, ""),
        ("cuda", ("dxg",), True, ""),
        ("cuda", ("nvmap",), True, ""),
        ("cuda", (), True, "no NVIDIA or AMD GPU"),
        ("cuda:1", ("nvidiactl",), False, "torch is built without CUDA"),
        ("GPU-00000000", (), True, "no NVIDIA or AMD GPU"),
        ("MIG-00000000", ("nvidiactl",), False, "torch is built without CUDA"),
        ("xpu", ("dri",), True, ""),
        ("xpu", ("dri",), False, "torch is built without XPU"),
        ("xpu", ("nvidiactl",), True, "no Intel GPU"),
        ("mps", ("dri",), True, "a Mac"),
    ],
)
def test_a_device_without_its_build_or_its_driver_is_absent(
    device: str,
    drivers: tuple[str, ...],
    built: bool,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in drivers:
        (tmp_path / name).touch()
    monkeypatch.setattr(gpus, "DEV", tmp_path)
    monkeypatch.setattr(torch_build, "has_cuda", lambda: built)
    monkeypatch.setattr(torch_build, "has_xpu", lambda: built)
    monkeypatch.setattr("sys.platform", "linux")
    absent = gpus.explain_absent_device(device)
    assert reason in absent and bool(reason) == bool(absent)


@pytest.mark.parametrize(("visible", "hides"), [("", True), ("-1", True), ("0", False)])
def test_gpus_that_the_environment_hides_are_absent(
    visible: str, hides: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(gpus, "DEV", tmp_path)
    monkeypatch.setattr(torch_build, "has_cuda", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert ("CUDA_VISIBLE_DEVICES hides every GPU" in gpus.explain_absent_device("cuda")) is hides
    assert gpus.explain_absent_device("cpu") == ""
