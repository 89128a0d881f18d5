"""Places that are equal or not, as their dry runs tell."""

from __future__ import annotations

import msgspec

from txtop.fleet.description import Description, describe_here, list_differences
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan


def here() -> Description:
    described = msgspec.json.encode(describe_here(Plan(cells=(Cell(id="a", model="m"),))))
    return msgspec.json.decode(described, type=Description)


def test_the_machine_equals_itself_and_brings_its_plan() -> None:
    assert list_differences({"a": here(), "b": here()}) == []
    assert here().decode_plan().cells[0].model == "m"


def test_each_difference_is_named_with_its_places() -> None:
    other = msgspec.structs.replace(
        here(),
        machine=msgspec.structs.replace(here().machine, cpu="Another", cores_allowed=3),
        gpus=["H200", "H200"],
        driver="570.1",
        versions={**here().versions, "torch": "1.0"},
    )
    lines = list_differences({"a": here(), "b": other, "c": other})
    assert [line.partition(":")[0] for line in lines] == ["CPU", "cores", "GPU", "driver", "torch"]
    assert lines[2] == "GPU: none (a) against 2 x H200 (b, c)"
