"""How long a plan will take, as far as that can be said before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from txtop.forecast.history import CellDuration, RunHistory
from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan


@dataclass(frozen=True)
class DurationEstimate:
    """How long a plan will take. `most` says that it is a bound, not what is expected, and null
    that there is nothing to guess from; `basis` says what it rests on."""

    seconds: float | None
    most: bool
    basis: str


def estimate_duration(plan: Plan, past: RunHistory) -> DurationEstimate:
    """From the same work in the past, else from the plan's own bounds: a cell under a budget ends
    when that is spent at the latest. A fixed number of iterations bounds nothing."""
    known = {cell: past.of(cell) for cell in plan.cells}
    counted = sum(took is not None for took in known.values())
    each_s = [_cell_s(plan, took) for took in known.values()]
    rest_s, missing = _estimate_overhead(plan, past)
    if None in each_s:
        return DurationEstimate(None, False, _format_unmeasured(plan, counted))
    words = [_basis(plan, counted)]
    words += [f"{' and '.join(missing)} not counted"] if missing else []
    total_s = sum(s for s in each_s if s is not None) + rest_s
    return DurationEstimate(total_s, counted < len(plan.cells), ", ".join(words))


def _cell_s(plan: Plan, took: CellDuration | None) -> float | None:
    """Of the iterations of one cell."""
    if plan.fixed_iterations is not None:
        count = 1 + plan.expected_warmup + plan.fixed_iterations
        return took.iteration_s * count if took else None
    if took is not None and took.settled:
        return min(plan.budget_s, took.iterations_s)
    # Three iterations are measured however long they take.
    return max(plan.budget_s, 4 * took.iteration_s if took else 0.0)


def _estimate_overhead(plan: Plan, past: RunHistory) -> tuple[float, list[str]]:
    """Seconds of loading and of comparing outputs, and which of the two is not known."""
    loads = [past.load_s(group[0]) for group in plan.groups]
    outputs = [past.position_s.get(cell.model) for cell in _to_compare(plan)]
    missing = ["loading"] * (None in loads) + ["comparing outputs"] * (None in outputs)
    compared_s = sum(_drop_unknown(outputs)) * plan.fidelity_positions
    return sum(_drop_unknown(loads)) + compared_s, missing


def _drop_unknown(values: Iterable[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)


def _to_compare(plan: Plan) -> list[Cell]:
    """One cell of each output that is held against another."""
    if not plan.fidelity_positions:
        return []
    due = references.find_output_references(plan.cells)
    cells = (cell for cell in plan.cells if cell.id in due)
    return list({(c.precision, due[c.id].id): c for c in cells}.values())


def _basis(plan: Plan, counted: int) -> str:
    if counted == len(plan.cells):
        return "as it was measured here before"
    budget = f"{plan.budget_s:g} s a cell"
    if not counted:
        return budget
    return f"{counted} of {len(plan.cells)} cells as before, else {budget}"


def _format_unmeasured(plan: Plan, counted: int) -> str:
    count = 1 + plan.expected_warmup + (plan.iterations or 0)
    before = f"{counted} of {len(plan.cells)} were" if counted else "none was"
    return f"{count} iterations a cell; {before} measured here before"
