"""Compare the accuracy of two sessions in the tasks that both answered, item by item."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txtop.plan.task import TaskKind, TaskSpec
from txtop.state import accuracy
from txtop.state.accuracy import AccuracyBand, AccuracyDifference, TaskScore
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats import paired_accuracy

SessionCell = tuple[SessionState, CellState]


@dataclass(frozen=True)
class AccuracyComparison:
    """The accuracy of one cell in one task on both sides, as in `AccuracyDifference`.

    `verdict` is the band of that difference, with the loss that is allowed for a margin;
    "undecided" also without an interval. `reason` says why, and how many items would decide.
    """

    cell: str
    task: str
    kind: TaskKind
    base: float | None
    new: float | None
    difference: float | None
    ci95: tuple[float, float] | None
    n: int
    gained: int | None
    lost: int | None
    deciding_items: int | None
    verdict: AccuracyBand
    reason: str = ""


def compare_accuracy(
    label: str, base: list[SessionCell], new: list[SessionCell], least: float
) -> list[AccuracyComparison]:
    """Compare one cell in each task whose file is the same on both sides.

    Of several sessions on a side the first that answered the task counts: the answers of a model do
    not vary as times do. `least` is the smallest difference that is allowed, as -0.01.
    """
    comparisons = []
    for sha256 in dict.fromkeys(task.sha256 for state, _ in base for task in state.plan.tasks):
        one, other = (_find_answers(side, sha256) for side in (base, new))
        if one is not None and other is not None and one[1].keys() & other[1].keys():
            difference = _compare(one, other, -least)
            comparisons.append(_build(label, _bound_unchanged(difference)))
    return comparisons


def _find_answers(
    side: list[SessionCell], sha256: str
) -> tuple[TaskScore, dict[int, int], tuple[float, ...]] | None:
    """Return answers, the place of each line, and the targets, of the first that answered."""
    for state, cell in side:
        task = next((task for task in state.plan.tasks if task.sha256 == sha256), None)
        score = accuracy.find_score(state, cell.cell.id, task) if task is not None else None
        if task is not None and score is not None and score.n:
            return score, _list_places(state, task, score.n), accuracy.list_targets(state, task)
    return None


def _list_places(state: SessionState, task: TaskSpec, n: int) -> dict[int, int]:
    lines = [line for part in state.questions.get(task.name, ()) for line in part.lines]
    return {line: place for place, line in enumerate(lines[:n])}


def _compare(
    base: tuple[TaskScore, dict[int, int], tuple[float, ...]],
    new: tuple[TaskScore, dict[int, int], tuple[float, ...]],
    margin: float,
) -> AccuracyDifference:
    """Compare the items that both answered, in the order of the base: seeds may differ."""
    shared = [line for line in base[1] if line in new[1]]

    def select(side: tuple[TaskScore, dict[int, int], tuple[float, ...]]) -> TaskScore:
        score, places, _ = side
        rows = [places[line] for line in shared]
        scores, answers = (
            tuple(values[row] for row in rows) for values in (score.scores, score.answers)
        )
        return TaskScore(base[0].task, scores, answers, score.ending)  # type: ignore[arg-type]

    targets = tuple(base[2][base[1][line]] for line in shared) if base[2] else ()
    return accuracy.compare_scores(select(base), select(new), ("base", "new"), targets, margin)


def _bound_unchanged(difference: AccuracyDifference) -> AccuracyDifference:
    """Return the difference, with the interval of this n alone if no item is answered otherwise.

    The share of items that can differ bounds the loss: of right and wrong answers by itself, of
    ranks if those pairs lose their order altogether. Sessions are compared once, at their end, so
    that the wider interval, which holds at every look, is not needed.
    """
    if not difference.is_unchanged:
        return difference
    bound = paired_accuracy.bound_unchanged(difference.n)
    needed = paired_accuracy.count_unchanged_items(difference.margin)
    return replace(difference, interval=(-bound, bound), needed=needed, reason="")


def _build(label: str, difference: AccuracyDifference) -> AccuracyComparison:
    return AccuracyComparison(
        cell=label,
        task=difference.task.name,
        kind=difference.task.kind,
        base=difference.reference_score,
        new=difference.score,
        difference=difference.difference,
        ci95=difference.interval,
        n=difference.n,
        gained=difference.gained,
        lost=difference.lost,
        deciding_items=difference.needed,
        verdict=difference.band or "undecided",
        reason=difference.reason or accuracy.describe_needed(difference),
    )
