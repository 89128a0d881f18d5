"""Estimate the duration of a plan before it runs.

Work that this machine measured before takes as long again; other work is bounded by the plan's
budget. Used by `forecast.preview`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from txtop.forecast.history import CellDuration, RunHistory, normalise_cell
from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.stats import stopping


@dataclass(frozen=True)
class DurationEstimate:
    """The estimated duration of a plan in seconds; None if there is nothing to guess from.

    With `most` it is an upper bound and not the expected value. `basis` says what it rests on.
    """

    seconds: float | None
    most: bool
    basis: str


def estimate_duration(plan: Plan, history: RunHistory) -> DurationEstimate:
    """Estimate the duration of a plan from `history`, else from the plan's own bounds.

    A cell under a budget ends within 1.5 times of it and one iteration. A fixed number of
    iterations without one has no bound in time.
    """
    durations = {cell: history.of(cell) for cell in plan.cells}
    counted = sum(duration is not None for duration in durations.values())
    cell_seconds = [_estimate_cell_s(plan, duration) for duration in durations.values()]
    rest_s, missing = _estimate_overhead(plan, history)
    if None in cell_seconds:
        return DurationEstimate(None, False, _format_unmeasured(plan, counted))
    parts = [_format_basis(plan, counted)]
    parts += [f"plus {' and '.join(missing)}"] if missing else []
    total_s = sum(s for s in cell_seconds if s is not None) + rest_s
    return DurationEstimate(total_s, counted < len(plan.cells), ", ".join(parts))


def _estimate_cell_s(plan: Plan, duration: CellDuration | None) -> float | None:
    """Estimate the seconds that the iterations of one cell take; None if unknown.

    A cell that was never measured may need all the time there is.
    """
    fixed = plan.fixed_iterations
    if duration is None:
        return stopping.OVERRUN * plan.budget_s if plan.timed else None
    cost_s = duration.iteration_s
    if fixed is None and duration.settled:
        return min(plan.budget_s, duration.iterations_s)
    affordable = stopping.count_affordable(cost_s, plan.budget_s)
    if fixed is None:
        return (1 + affordable) * cost_s
    count = plan.expected_warmup + fixed
    return (1 + (min(count, affordable) if plan.fitted else count)) * cost_s


def _estimate_overhead(plan: Plan, history: RunHistory) -> tuple[float, list[str]]:
    """Return the seconds of loading and comparing outputs, and which of them is not fully known."""
    loads = [history.load_s(group[0]) for group in plan.groups]
    outputs = [history.position_s.get(cell.model) for cell in _list_compared(plan)]
    missing = ["loading"] * (None in loads) + ["comparing outputs"] * (None in outputs)
    missing += ["answering tasks"] * bool(plan.tasks)
    compared_s = sum(_drop_unknown(outputs)) * plan.fidelity_positions
    profiled_s = sum(history.profiles_s.get(normalise_cell(c), 0.0) for c in _list_profiled(plan))
    return sum(_drop_unknown(loads)) + compared_s + profiled_s, missing


def _drop_unknown(values: Iterable[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)


def _list_compared(plan: Plan) -> list[Cell]:
    """Return one cell for each output that is compared with that of a reference."""
    if not plan.fidelity_positions:
        return []
    due = references.find_output_references(plan.cells)
    cells = (cell for cell in plan.cells if cell.id in due)
    return list({(references.get_output_key(c), due[c.id].id): c for c in cells}.values())


def _list_profiled(plan: Plan) -> list[Cell]:
    """Return the first cell of each step, whose time on the GPU is read if it is on one."""
    if plan.profile != "gpu":
        return []
    return references.find_distinct_steps(
        cell for cell in plan.cells if cell.serving is None and cell.speculative == "none"
    )


def _format_basis(plan: Plan, counted: int) -> str:
    if counted == len(plan.cells):
        return "as it was measured here before"
    most_s = stopping.OVERRUN * plan.budget_s
    budget = f"{plan.budget_s:g} s a cell, {most_s:g} s if iterations are long"
    if plan.fitted:
        budget = f"{_count_iterations(plan)} iterations or {budget}"
    if not counted:
        return budget
    return f"{counted} of {len(plan.cells)} cells as before, else {budget}"


def _format_unmeasured(plan: Plan, counted: int) -> str:
    count = _count_iterations(plan)
    before = f"{counted} of {len(plan.cells)} were" if counted else "none was"
    return f"{count} iterations a cell; {before} measured here before"


def _count_iterations(plan: Plan) -> int:
    return 1 + plan.expected_warmup + (plan.iterations or 0)
