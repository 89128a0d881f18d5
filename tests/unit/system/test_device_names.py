"""The names that `--device` takes."""

from __future__ import annotations

import msgspec
import pytest

from txtop.errors import UsageError
from txtop.plan.cell import Cell
from txtop.system.device_names import format_cores, get_cores, get_device_kind, parse_device

NAMES = {
    "auto": "auto",
    "cpu": "cpu",
    "cpu:0": "cpu",
    "CPU:0-3,8": "cpu",
    "CUDA": "cuda",
    "cuda:1": "cuda",
    "Cuda:11": "cuda",
    "xpu:0": "xpu",
    "mps": "mps",
    "GPU-8f3a9c1e": "cuda",
    "GPU-8f3a9c1e-5b1c-4a54-9c3e-0123456789ab": "cuda",
    "MIG-8f3a9c1e-5b1c-4a54-9c3e-0123456789ab": "cuda",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_a_kind_and_passes_a_recording(name: str) -> None:
    device = parse_device("--device", name)
    assert get_device_kind(device) == NAMES[name]
    cell = Cell(id="c", model="m", device=device)
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpu",
        "1",
        "cuda:",
        "cuda:-1",
        "cuda:1,2",
        "cpu:",
        "cpu:0,",
        "mps:0",
        "GPU-",
        "GPU-../../x y",
        "cuda:1\n",
        "cuda:1;rm",
    ],
)
def test_any_other_name_is_refused_with_the_names_that_exist(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--device cannot be") as refused:
        parse_device("--device", name)
    assert "cuda:1" in refused.value.hint
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(Cell(id="c", model="m", device=name)), type=Cell)


def test_a_range_of_cores_does_not_count_backwards() -> None:
    with pytest.raises(UsageError, match=r"^--device cannot be 'cpu:0,3-1'"):
        parse_device("--device", "cpu:0,3-1")


@pytest.mark.parametrize(
    ("device", "cores"),
    [
        ("cpu", ""),
        ("cuda:1", ""),
        ("cpu:2", "2"),
        ("cpu:0-3,8", "0-3,8"),
        ("cpu:3,2,1,7-7", "1-3,7"),
    ],
)
def test_cores_of_a_name_come_back_as_a_list_of_the_kernel(device: str, cores: str) -> None:
    assert format_cores(get_cores(device)) == cores
