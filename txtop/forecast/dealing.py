"""Deal the cells of a plan over places: those that share weights stay together.

Nothing but the plan decides, so that every machine deals alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from txtop.errors import UsageError
from txtop.forecast.time_left import estimate_traffic_s
from txtop.formatting import format_count
from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan

APART = "its reference is in another part"
TOGETHER = "cells that share weights stay together"


def estimate_cell_s(plan: Plan, cell: Cell) -> float:
    """Return about how long `cell` measures, in seconds, to order groups of cells by.

    A budget is spent by every cell alike; of a fixed number of iterations each takes longer the
    more tokens it makes and the more sequences it has.
    """
    if cell.serving is not None:
        return estimate_traffic_s(cell, plan)
    if plan.timed:
        return plan.budget_s
    return float(cell.batch_size * (cell.sequence_length + cell.new_tokens))


def _estimate_group_s(plan: Plan, group: Sequence[Cell]) -> float:
    return sum(estimate_cell_s(plan, cell) for cell in group)


def order_groups(groups: Sequence[list[Cell]], plan: Plan) -> list[list[Cell]]:
    """Return the groups that are not empty, the longest first; equal ones in the plan's order.

    A place that is free takes the next: the longest ones then do not come last, when the other
    places have nothing left to do.
    """
    return sorted(filter(None, groups), key=lambda group: -_estimate_group_s(plan, group))


def deal_cells(plan: Plan, parts: int) -> list[tuple[Cell, ...]]:
    """Return the cells of each of so many parts, in the plan's order; late ones may be empty.

    Each group goes to the part that has least to do so far.
    """
    dealt: list[set[str]] = [set() for _ in range(parts)]
    loads_s = [0.0] * parts
    for group in order_groups(plan.groups, plan):
        least = loads_s.index(min(loads_s))
        dealt[least] |= {cell.id for cell in group}
        loads_s[least] += _estimate_group_s(plan, group)
    return [tuple(cell for cell in plan.cells if cell.id in ids) for ids in dealt]


def take_part(plan: Plan, part: tuple[int, int]) -> Plan:
    """Return the plan of part I of N: its cells keep their ids, so that parts fit together.

    Raises `UsageError` if nothing is left for that part.
    """
    number, parts = part
    cells = deal_cells(plan, parts)[number - 1]
    if not cells:
        groups = format_count(len(plan.groups), "group")
        raise UsageError(
            f"--part {number}/{parts} has no cell: only {groups}, since {TOGETHER}",
            f"at most {len(plan.groups)} parts",
        )
    note = f"part {number} of {parts}, {len(cells)} of {format_count(len(plan.cells), 'cell')}"
    note = f"{note}; {plan.note}"[:200] if plan.note else note
    return msgspec.structs.replace(plan, cells=cells, note=note)


def count_separated(plan: Plan, parts: int) -> int:
    """Return how many cells are in another part than the one their output is compared with."""
    if not plan.fidelity_positions:
        return 0
    where = {cell.id: i for i, cells in enumerate(deal_cells(plan, parts)) for cell in cells}
    due = references.find_output_references(plan.cells)
    return sum(where[name] != where[best.id] for name, best in due.items())


def parse_part(text: str) -> tuple[int, int]:
    """Return I and N of `--part I/N`. Raises `UsageError`."""
    number, slash, parts = text.partition("/")
    if not slash or not all(
        part.isascii() and part.isdecimal() and len(part) < 4 for part in (number, parts)
    ):
        raise UsageError(f"--part cannot be {text[:40]!a}", "I/N, as 1/4")
    if not 1 <= int(number) <= int(parts):
        raise UsageError(f"--part {text} does not exist", f"from 1/{parts} to {parts}/{parts}")
    return int(number), int(parts)
