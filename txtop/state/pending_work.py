"""The work that a session still lacks: cells without a result, comparisons of outputs, GPU times.

The runner does it, `resume` looks for it, and the screen says how much of it is left.
"""

from __future__ import annotations

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.task import TaskSpec
from txtop.state import accuracy
from txtop.state.cell import CellState
from txtop.state.session import SessionState

# Measured, skipped on purpose, or bound to end the same way again. Everything else is missing.
SETTLED_STATUSES = ("ok", "skipped", "oom", "rejected")


def find_missing_cells(state: SessionState) -> frozenset[str]:
    """Return the ids of cells without a result: not started or ended, cancelled, failed, timed out,
    or refused for a reason that may pass.

    Arms are compared with each other: if one of them is missing, all are.
    """
    missing = frozenset(name for name, cell in state.cells.items() if lacks_result(cell))
    return frozenset(state.cells) if missing and state.plan.margin is not None else missing


def lacks_result(cell: CellState) -> bool:
    """Return whether `cell` by itself has no result, and may have one."""
    may_pass = cell.rejected is not None and cell.rejected.may_pass
    return may_pass or cell.status not in SETTLED_STATUSES


def find_pending_comparisons(state: SessionState) -> list[tuple[Cell, Cell]]:
    """Return (reference, cell) of each comparison of outputs that is due and not yet made.

    Comparisons with the same reference are adjacent. Arms and candidates of a race are due at
    once; the cells of a matrix once all cells of their model are over, and only those that were
    measured.
    """
    plan = state.plan
    if not plan.fidelity_positions:
        return []
    if plan.tuning is not None:
        best = references.find_most_precise(plan.cells)
        told = (one.weights for one in state.fidelity.values() if not one.failed)
        if "random" in (best.weights, *told):
            # There is no quality to lose, and calls find NaN and Inf; one comparison tells it.
            return []
        pairs = [
            (best, c)
            for c in plan.cells
            if not state.cells[c.id].over
            and (c.precision != best.precision or c.quantizes_cache)
            and c.model == best.model
        ]
    elif plan.margin is not None:
        first = plan.cells[0]
        pairs = []
        for arm in plan.cells[1:]:
            best = references.find_most_precise((first, arm))
            pairs.append((best, arm if best is first else first))
    else:
        by_cell = references.find_output_references(state.list_accepted())
        pairs = [
            (by_cell[c.id], c) for c in plan.cells if c.id in by_cell and _is_settled(state, c)
        ]
    pending: list[tuple[Cell, Cell]] = []
    for best, cell in sorted(pairs, key=lambda pair: plan.cells.index(pair[0])):
        output = state.output_of(cell.id, best.id) if plan.margin else state.output_of(cell.id)
        twin = plan.margin is None and any(references.has_same_output(cell, c) for _, c in pending)
        if (output is None or output.may_pass) and not twin:
            pending.append((best, cell))
    return pending


def find_pending_answers(state: SessionState) -> list[tuple[Cell, TaskSpec]]:
    """Return (cell, task) of each task that a cell has yet to answer.

    Cells with the same output answer once, and first the one that others are held against: A of an
    A/B, else the most precise. Arms are due at once, and so are the candidates of a race that are
    in it, with their reference; the cells of a matrix as their comparisons of outputs are.
    """
    plan = state.plan
    if not plan.tasks:
        return []
    if plan.tuning is not None:
        best = references.find_most_precise(plan.cells)
        cells = [c for c in plan.cells if c is best or not state.cells[c.id].over]
    else:
        cells = [c for c in plan.cells if plan.margin is not None or _is_settled(state, c)]
    firsts = {references.get_output_key(c): c for c in reversed(cells)}
    ordered = (
        sorted(firsts.values(), key=lambda cell: (cell.model, *references.rank(cell)))
        if plan.margin is None
        else sorted(firsts.values(), key=plan.cells.index)
    )
    return [
        (cell, task)
        for cell in ordered
        for task in plan.tasks
        if (ending := accuracy.find_ending(state, cell.id, task.name)) is None or ending.may_pass
    ]


def find_pending_profiles(state: SessionState) -> list[Cell]:
    """Return the cells on CUDA whose time on the device is due and not yet known.

    It is due once for cells with the same step, after the first of them was measured. A server has
    no step of one size, nor has speculative decoding.
    """
    if state.plan.profile != "gpu":
        return []
    return [
        own.cell
        for own in state.cells.values()
        if own.status == "ok"
        and not own.invalid
        and own.cell.serving is None
        and own.cell.speculative == "none"
        and own.load is not None
        and own.load.device.startswith("cuda")
        and ((event := state.device_time_of(own.cell.id)) is None or event.may_pass)
    ]


def list_pending_outputs(
    state: SessionState,
) -> tuple[list[tuple[Cell, Cell]], list[tuple[Cell, TaskSpec]], list[Cell], list[Cell]]:
    """Return the comparisons, answers to tasks, GPU times and explanations that a session lacks."""
    return (
        find_pending_comparisons(state),
        find_pending_answers(state),
        find_pending_profiles(state),
        find_pending_explanations(state),
    )


def find_pending_explanations(state: SessionState) -> list[Cell]:
    """Return the measured cells that are to be explained and are not yet."""
    if not state.plan.explain:
        return []
    return [
        own.cell
        for own in state.cells.values()
        if own.status == "ok"
        and own.cell.serving is None
        and ((event := state.explanations.get(own.cell.id)) is None or event.may_pass)
    ]


def find_unexplained_cells(state: SessionState) -> list[Cell]:
    """Return the measured cells whose explanation failed."""
    return [
        state.cells[name].cell
        for name, explanation in state.explanations.items()
        if not explanation.phases
    ]


def _is_settled(state: SessionState, cell: Cell) -> bool:
    """Check that `cell` has valid results, and that its variants in other precisions are over."""
    own = state.cells[cell.id]
    others = [c for c in state.cells.values() if references.differs_in_precision_only(c.cell, cell)]
    return own.status == "ok" and not own.invalid and all(c.over for c in others)
