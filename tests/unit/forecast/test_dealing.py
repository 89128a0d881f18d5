"""A plan that is dealt over places that work at the same time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtop.errors import UsageError
from txtop.forecast.dealing import count_separated, deal_cells, parse_part, take_part
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan


def build_plan(sizes: list[int]) -> Plan:
    cells = [Cell(id=f"c{i}.{j}", model=f"m{i}", batch_size=j + 1)
             for i, size in enumerate(sizes) for j in range(size)]  # fmt: skip
    return Plan(cells=tuple(cells))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=9), st.integers(1, 5))
def test_every_cell_is_in_one_part_and_no_group_is_split(sizes: list[int], parts: int) -> None:
    plan = build_plan(sizes)
    dealt = deal_cells(plan, parts)
    assert sorted(cell.id for part in dealt for cell in part) == sorted(c.id for c in plan.cells)
    models = [{cell.model for cell in part} for part in dealt]
    assert sum(map(len, models)) == len(sizes)
    # Of longest first no part has more than the fair share and one group.
    assert max(map(len, dealt)) <= sum(sizes) / parts + max(sizes)
    assert deal_cells(msgspec.json.decode(msgspec.json.encode(plan), type=Plan), parts) == dealt


def test_the_longest_group_is_dealt_first_and_ids_stay() -> None:
    plan = build_plan([1, 1, 2])
    assert [cell.id for cell in take_part(plan, (1, 2)).cells] == ["c2.0", "c2.1"]
    assert [cell.id for cell in take_part(plan, (2, 2)).cells] == ["c0.0", "c1.0"]
    assert take_part(plan, (2, 2)).note == "part 2 of 2, 2 of 4 cells"


def test_a_part_without_cells_is_refused() -> None:
    with pytest.raises(UsageError, match=r"3/3 has no cell.*2 groups"):
        take_part(build_plan([4, 1]), (3, 3))


def test_precisions_in_several_parts_are_told() -> None:
    cells = (Cell(id="a", model="m"), Cell(id="b", model="m", precision="bf16"))
    plan = Plan(cells=cells)
    assert [count_separated(plan, parts) for parts in (1, 2)] == [0, 1]


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "a/b", "-1/2", "1/2/3", "1/\u0662"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_part(text)
