"""The order in which groups of cells are dealt to places."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fake_run import plan
from txtop.forecast.dealing import order_groups
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands
from txtop.runner.output_run import FidelityRun
from txtop.runner.worker_client import WorkerClient


def timed(groups: list[list[Cell]]) -> Plan:
    return Plan(cells=tuple(cell for group in groups for cell in group))


def test_under_a_budget_the_group_with_the_most_cells_comes_first() -> None:
    small, large = plan("a", batches=(1,)), plan("b", "c", batches=(1, 2, 4))
    groups = [*small.groups, [], *large.groups]
    ordered = order_groups(groups, timed(groups))
    assert [group[0].model for group in ordered] == ["b", "c", "a"]


def test_of_equal_counts_the_group_with_more_to_compute_comes_first() -> None:
    one, two = plan("a", batches=(1, 2)), plan("b", batches=(8, 16))
    groups = [*one.groups, *two.groups]
    whole = Plan(cells=timed(groups).cells, iterations=5, warmup=0)
    assert [group[0].model for group in order_groups(groups, whole)] == ["b", "a"]


@given(st.lists(st.integers(0, 5), max_size=8))
def test_no_cell_is_lost_and_no_group_split(sizes: list[int]) -> None:
    groups = [
        [Cell(id=f"c{i}.{j}", model=f"m{i}") for j in range(size)] for i, size in enumerate(sizes)
    ]
    before = msgspec.json.encode(groups)
    ordered = order_groups(groups, timed(groups))
    assert sorted(ordered, key=lambda g: g[0].id) == sorted(
        filter(None, groups), key=lambda g: g[0].id
    )
    assert [len(group) for group in ordered] == sorted(filter(None, sizes), reverse=True)
    assert msgspec.json.encode(groups) == before


@pytest.mark.parametrize(
    ("places", "device"),
    [
        (("cuda:2", "cuda:3"), "cuda:2"),
        # Outputs are not timed: they have all cores.
        (("cpu:0", "cpu:1"), "auto"),
        ((), "auto"),
    ],
)
def test_outputs_are_compared_on_the_first_gpu_of_the_places(
    places: tuple[str, ...], device: str
) -> None:
    made = msgspec.structs.replace(plan("a", "b"), places=places)
    command = FidelityRun(cast(WorkerClient, SimpleNamespace(plan=made))).build_command(
        *made.cells, started_ns=0
    )
    assert isinstance(command, commands.Compare)
    assert [cell.device for cell in (command.cell, command.reference)] == [device] * 2
