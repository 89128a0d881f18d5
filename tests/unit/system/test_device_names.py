"""The names that `--device` takes."""

from __future__ import annotations

import msgspec
import pytest

from txtop.errors import UsageError
from txtop.plan.cell import Cell
from txtop.system.device_names import get_device_kind, parse_device

NAMES = {
    "auto": "auto",
    "cpu": "cpu",
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
        "cpu:0",
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
