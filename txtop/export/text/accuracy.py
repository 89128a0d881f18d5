"""Write the accuracy in tasks as plain text: a table, and the items that changed."""

from __future__ import annotations

from txtop.export.text.columns import cut_cells
from txtop.export.text.fitting import format_table
from txtop.formatting import MISSING, format_share
from txtop.plan import labels, references
from txtop.plan.cell import Cell
from txtop.plan.task import TaskSpec
from txtop.sanitise import sanitise
from txtop.state import accuracy
from txtop.state.accuracy import AccuracyDifference
from txtop.state.pending_work import find_pending_answers
from txtop.state.session import SessionState
from txtop.stats.intervals import Interval

HEADING: tuple[tuple[str, str], ...] = (
    ("task", "<"),
    ("cell", "<"),
    ("accuracy", ">"),
    ("points", ">"),
    ("95 %, every look", "<"),
    ("gained", ">"),
    ("lost", ">"),
    ("items", ">"),
    ("decide", ">"),
    ("verdict", "<"),
)
PAIRS_REMARK = "pairs: Spearman's correlation, with the interval of this n alone"
MAX_CHANGED = 5
_TEXT_WIDTH = 60


def format_accuracy(state: SessionState, width: int | None) -> list[str]:
    """Return the lines about all tasks; empty if there are none, or none was begun."""
    rows = build_rows(state)
    if not rows:
        return list_remarks(state)
    lines = [*format_table(HEADING, rows, width), *list_remarks(state)]
    for difference in list_all_differences(state):
        lines += _list_changed(state, difference)
    return list(map(sanitise, lines))


def list_remarks(state: SessionState) -> list[str]:
    """Return what the rows have in common, and the tasks that were not answered, or not wholly."""
    differences = list_all_differences(state)
    margin = f"{100 * state.plan.accuracy_margin:.3g} pt"
    base = "A" if state.ab_test is not None else "the more precise cell"
    lines = [f"points against {base}; margin {margin}"] if differences else []
    if any(difference.task.kind == "pairs" for difference in differences):
        lines.append(PAIRS_REMARK)
    lines += dict.fromkeys(
        f"{sanitise(own.task.name, 60)}, {name_cell(state, own.reference)}: not above chance"
        f"{'' if own.chance is None else f', {format_share(own.chance, 1)}'}: no badge of a cell"
        for own in differences
        if not own.is_telling
    )
    lines += [
        f"{sanitise(task, 60)}, {name_cell(state, cell)}: {ending.failed}"
        for (cell, task), ending in state.answered.items()
        if ending.failed
    ]
    return lines + _list_unanswered(state)


def _list_unanswered(state: SessionState) -> list[str]:
    """Return the tasks that cells answered in part alone, and those that were not asked."""
    lines = []
    unasked: dict[str, list[str]] = {}
    for cell, task in find_pending_answers(state):
        answered, items = accuracy.count_answers(state, cell.id, task.name)
        label, name = name_cell(state, cell.id), sanitise(task.name, 60)
        if answered:
            lines.append(f"{name}, {label}: {answered:,} of {items:,} answered")
        elif (cell.id, task.name) not in state.answered:
            unasked.setdefault(name, []).append(label)
    names = (f"{name} ({', '.join(cells)})" for name, cells in unasked.items())
    return [*lines, f"not asked: {'; '.join(names)}"] if unasked else lines


def list_all_differences(state: SessionState) -> list[AccuracyDifference]:
    """Return the differences of all cells; in an A/B those of the arms from the first."""
    if state.ab_test is not None:
        first = state.ab_test.first.id
        return [
            difference
            for name in state.ab_test.sequences
            for difference in accuracy.list_differences(state, name, first)
        ]
    return [
        difference
        for cell in list_answering_cells(state)
        for difference in accuracy.list_differences(state, cell.id)
    ]


def build_rows(state: SessionState) -> list[list[str]]:
    """Return a row for each task and each cell that answered it, in the order of `HEADING`."""
    differences = {(d.task.name, d.cell): d for d in list_all_differences(state)}
    rows = []
    for task in state.plan.tasks:
        for cell in list_answering_cells(state):
            score = accuracy.find_score(state, cell.id, task)
            if score is not None and score.n:
                beside = differences.get((task.name, cell.id))
                rows.append(_build_row(state, task, cell, score.n, beside))
    return rows


def list_answering_cells(state: SessionState) -> list[Cell]:
    """Return the cells that stand for their output, the more precise first."""
    cells = [own.cell for own in state.cells.values()]
    if state.ab_test is not None:
        return cells
    firsts = {references.get_output_key(cell): cell for cell in reversed(cells)}
    return sorted(firsts.values(), key=lambda cell: (cell.model, *references.rank(cell)))


def _build_row(
    state: SessionState, task: TaskSpec, cell: Cell, n: int, beside: AccuracyDifference | None
) -> list[str]:
    reached = accuracy.format_reached(state, cell.id, task)
    row = [sanitise(task.name, 40), name_cell(state, cell.id), reached]
    if beside is None:
        return [*row, *([MISSING] * 4), f"{n:,}", MISSING, "reference"]
    verdict = f"{MISSING} {beside.reason}"
    if beside.band is not None:
        verdict = accuracy.format_band(beside.band)
    return [
        *row,
        *format_paired(beside.difference, beside.interval, beside.gained, beside.lost),
        f"{beside.n:,}",
        f"{beside.still_needed:,}" if beside.still_needed else MISSING,
        verdict,
    ]


def format_paired(
    difference: float | None, interval: Interval | None, gained: int | None, lost: int | None
) -> list[str]:
    """Format what is paired by item: points, interval, and the items gained and lost."""
    return [
        accuracy.format_points(difference).removesuffix(" pt"),
        accuracy.format_points_interval(interval) or MISSING,
        *(MISSING if count is None else f"{count:,}" for count in (gained, lost)),
    ]


def name_cell(state: SessionState, name: str) -> str:
    """Return what tells a cell from the others in a table of tasks."""
    if state.ab_test is not None:
        return state.ab_test.letter(name)
    cell = state.cells[name].cell
    several = len({own.cell.model for own in state.cells.values()}) > 1
    parts = [cell.model_name] if several else []
    parts += [cell.precision, *([cell.cache] if cell.quantizes_cache else [])]
    return cut_cells(sanitise(" ".join(parts)), 60) if parts else labels.format_short_label(cell)


def _list_changed(state: SessionState, difference: AccuracyDifference) -> list[str]:
    """Return lines about the items that one of the two alone answers rightly, losses first."""
    changed = accuracy.list_changed_items(state, difference)
    if not changed:
        return []
    names = [name_cell(state, name) for name in (difference.reference, difference.cell)]
    lines = ["", f"{difference.task.name}: items that changed from {names[0]} to {names[1]}"]
    for item in changed[:MAX_CHANGED]:
        sign = "+" if item.gained else "−"
        asked = cut_cells(sanitise(item.asked), _TEXT_WIDTH)
        answers = (cut_cells(sanitise(text), 24) for text in (item.reference_answer, item.answer))
        lines.append(f"  {sign} line {item.line}: {asked!r}: {' → '.join(answers)}")
    if len(changed) > MAX_CHANGED:
        lines.append(f"  {len(changed) - MAX_CHANGED} more in the json export")
    return lines
