"""The accuracy of each cell in the tasks of a session, beside that of its reference."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from txtop.formatting import MISSING, format_count, format_share
from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.task import TaskKind, TaskSpec
from txtop.protocol import events
from txtop.state.session import SessionState
from txtop.stats import paired_accuracy, rank_correlation
from txtop.stats.fidelity_bands import compute_wilson_interval
from txtop.stats.intervals import Interval
from txtop.stats.rank_correlation import CorrelationDifference

AccuracyBand = Literal["no worse", "undecided", "loss", "worse"]
ACCURACY_GLYPHS: dict[AccuracyBand, str] = {
    "no worse": "✓",
    "undecided": "≈",
    "loss": "▲",
    "worse": "✗",
}
_DIGITS = 9
_Z95 = 1.96


@dataclass(frozen=True)
class TaskScore:
    """The answers of one cell to the first items of a task, of which the session has `n`."""

    task: TaskSpec
    scores: tuple[float, ...]
    answers: tuple[str, ...]
    ending: events.TaskAnswered | None

    @property
    def n(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class AccuracyDifference:
    """The accuracy of a cell less that of its reference, on the first `n` items of a task.

    All are shares of 1, of pairs of sentences Spearman's correlations, None where one does not
    exist. The interval is the 95 % one that holds at every look, of correlations that of this n
    alone; without one `reason` says why. `gained` and `lost` items are those that the cell answers
    better and worse, None for pairs, `needed` those that would decide the margin, None if that
    cannot be said. `is_unchanged` if every item is as the reference has it, of pairs every rank.
    `chance` is what one answer to all items, or a guess, would reach; None if it cannot be said.
    """

    task: TaskSpec
    cell: str
    reference: str
    n: int
    reference_score: float | None
    score: float | None
    interval: Interval | None
    gained: int | None
    lost: int | None
    needed: int | None
    margin: float
    reason: str = ""
    is_unchanged: bool = False
    chance: float | None = None

    @property
    def difference(self) -> float | None:
        if self.score is None or self.reference_score is None:
            return None
        return self.score - self.reference_score

    @property
    def band(self) -> AccuracyBand | None:
        """The verdict: a loss of at most the margin, of more, of some size, or none shown.

        None without an interval: that is no verdict.
        """
        if self.interval is None:
            return None
        low, high = self.interval
        if low >= -self.margin:
            return "no worse"
        return "worse" if high < -self.margin else "loss" if high < 0 else "undecided"

    @property
    def is_telling(self) -> bool:
        """True if the reference is above chance: else a model that is broken does as well.

        A difference that is shown tells all the same.
        """
        if self.band in ("worse", "loss") or self.reference_score is None:
            return True
        if self.task.kind == "pairs":
            return abs(self.reference_score) > _Z95 / math.sqrt(max(1, self.n - 1))
        interval = compute_wilson_interval(round(self.reference_score * self.n), self.n)
        return self.chance is None or interval is None or interval[0] > self.chance

    @property
    def still_needed(self) -> int | None:
        """The items that would decide the margin; None where they have decided it."""
        return None if self.band in ("no worse", "worse") else self.needed


def find_score(session: SessionState, name: str, task: TaskSpec) -> TaskScore | None:
    """Return the answers of a cell, or of one with the same output, or None."""
    cell = _find_answering_cell(session, name, task.name)
    if cell is None:
        return None
    parts = session.answers.get((cell, task.name), ())
    # A damaged log may lack the similarities that pairs are held against.
    n = len(list_targets(session, task)) if task.kind == "pairs" else None
    return TaskScore(
        task,
        tuple(score for part in parts for score in part.scores)[:n],
        tuple(text for part in parts for text in part.answers)[:n],
        session.answered.get((cell, task.name)),
    )


def find_ending(session: SessionState, name: str, task: str) -> events.TaskAnswered | None:
    """Return the event that ended the answers of a cell, or of one with the same output."""
    cell = _find_answering_cell(session, name, task)
    return None if cell is None else session.answered.get((cell, task))


def find_unanswered_tasks(session: SessionState) -> list[str]:
    """Return the tasks of which no cell has answered an item."""
    answered = {task for (_, task), parts in session.answers.items() if parts}
    return [task.name for task in session.plan.tasks if task.name not in answered]


def _find_answering_cell(session: SessionState, name: str, task: str) -> str | None:
    if (name, task) in session.answers or (name, task) in session.answered:
        return name
    if name not in session.cells:
        return None
    target = session.cells[name].cell
    names = dict.fromkeys([*session.answers, *session.answered])
    return next(
        (
            cell
            for cell, own in names
            if own == task and references.has_same_output(session.cells[cell].cell, target)
        ),
        None,
    )


def list_differences(
    session: SessionState, name: str, against: str | None = None
) -> list[AccuracyDifference]:
    """Return the differences of a cell from its reference, one a task that both answered in part.

    With `against` that one is the reference, as arm A is of an A/B, whatever its precision.
    """
    plan = session.plan
    if not plan.tasks or name not in session.cells:
        return []
    pair = _find_pair(session, name, against)
    if pair is None:
        return []
    reference, cell = pair
    differences = []
    for task in plan.tasks:
        theirs, ours = (find_score(session, c.id, task) for c in (reference, cell))
        if theirs is None or ours is None or not min(theirs.n, ours.n):
            continue
        # What was answered before a failure is a sample like any other.
        names, targets = (reference.id, cell.id), list_targets(session, task)
        difference = compare_scores(theirs, ours, names, targets, plan.accuracy_margin)
        chance = _compute_chance(session, task, difference.n)
        differences.append(replace(difference, chance=chance))
    return differences


def _compute_chance(session: SessionState, task: TaskSpec, n: int) -> float | None:
    """Return what the commonest answer alone reaches in `n` items, or a guess if that is more."""
    if task.kind in ("pairs", "retrieval"):
        return None
    parts = session.questions.get(task.name, ())
    right = [text for part in parts for text in part.right][:n]
    chances = [chance for part in parts for chance in part.chances][:n]
    commonest = max(Counter(right).values(), default=0) / n
    return max(commonest, sum(chances) / n)


def _find_pair(session: SessionState, name: str, against: str | None) -> tuple[Cell, Cell] | None:
    """Return reference and cell; None for a cell that is its own reference."""
    own = session.cells[name].cell
    if against is not None:
        return session.cells[against].cell, own
    best_by_cell = references.find_output_references(session.plan.cells)
    return (best_by_cell[name], own) if name in best_by_cell else None


def compare_scores(
    theirs: TaskScore,
    ours: TaskScore,
    names: tuple[str, str],
    targets: tuple[float, ...],
    margin: float,
) -> AccuracyDifference:
    """Compare answers to the same items in the same order; `names` are reference and cell."""
    task = ours.task
    n = min(theirs.n, ours.n)
    base, own = theirs.scores[:n], ours.scores[:n]
    reference, cell = names
    if task.kind == "pairs":
        contrast = _compare_correlations(targets[:n], base, own)
        return AccuracyDifference(
            task=task,
            cell=cell,
            reference=reference,
            n=n,
            reference_score=contrast.base,
            score=contrast.own,
            interval=contrast.interval,
            gained=None,
            lost=None,
            needed=None,
            margin=margin,
            reason=contrast.reason,
            is_unchanged=contrast.is_unchanged,
        )
    counts = Counter(round(b - a, _DIGITS) for a, b in zip(base, own, strict=True))
    gained = sum(count for d, count in counts.items() if d > 0)
    lost = sum(count for d, count in counts.items() if d < 0)
    return AccuracyDifference(
        task=task,
        cell=cell,
        reference=reference,
        n=n,
        reference_score=sum(base) / n,
        score=sum(own) / n,
        interval=_compute_interval(tuple(sorted(counts.items()))),
        gained=gained,
        lost=lost,
        # No item that changed is less than one, not none.
        needed=_count_needed(max(1, gained + lost) / n, margin),
        margin=margin,
        is_unchanged=not gained + lost,
    )


@lru_cache(maxsize=512)
def _compute_interval(counts: tuple[tuple[float, int], ...]) -> Interval | None:
    return paired_accuracy.compute_difference_interval(dict(counts))


@lru_cache(maxsize=512)
def _count_needed(discordant: float, margin: float) -> int | None:
    return paired_accuracy.count_deciding_items(discordant, margin)


@lru_cache(maxsize=64)
def _compare_correlations(
    targets: tuple[float, ...], base: tuple[float, ...], own: tuple[float, ...]
) -> CorrelationDifference:
    return rank_correlation.compare_correlations(targets, base, own)


@dataclass(frozen=True)
class ChangedItem:
    """An item that cell and reference answered differently, in words; `gained` if the cell won."""

    line: int
    asked: str
    right: str
    reference_answer: str
    answer: str
    gained: bool


def list_changed_items(session: SessionState, difference: AccuracyDifference) -> list[ChangedItem]:
    """Return the items of a task that are right with one of the two alone, losses first."""
    task = difference.task
    theirs = find_score(session, difference.reference, task)
    ours = find_score(session, difference.cell, task)
    if theirs is None or ours is None or task.kind == "pairs":
        return []
    items = [
        (line, asked, right)
        for part in session.questions.get(task.name, ())
        for line, asked, right in zip(part.lines, part.asked, part.right, strict=True)
    ]
    pairs = zip(items, theirs.scores, ours.scores, theirs.answers, ours.answers, strict=False)
    changed = [
        ChangedItem(*item, reference_answer, answer, own > base)
        for item, base, own, reference_answer, answer in pairs
        if own != base
    ]
    return sorted(changed, key=lambda item: item.gained)


def describe_answered(session: SessionState, event: events.TaskAnswered) -> str:
    """Describe in a line of the log what a cell reached in a task, an arm of an A/B beside A."""
    task = next((task for task in session.plan.tasks if task.name == event.task), None)
    if task is None:
        return f"{event.task} answered"
    first = None if session.ab_test is None else session.ab_test.first.id
    differences = [] if event.cell == first else list_differences(session, event.cell, first)
    own = [d for d in differences if d.task == task]
    score = describe_score(session, event.cell, task)
    return ": ".join([score, *(describe_difference(d) for d in own)])


def format_points(share: float | None) -> str:
    """Format a share of 1 as percentage points with its sign: `−1.3 pt`; `—` without one."""
    if share is None:
        return MISSING
    points = round(share * 100, 1)
    sign = "−" if points < 0 else "+" if points > 0 else ""
    return f"{sign}{abs(points):.1f} pt"


def format_points_interval(interval: Interval | None) -> str:
    """Format the ends of an interval in points: `[−2.1, +0.3]`; empty without one."""
    if interval is None:
        return ""
    low, high = (format_points(end).removesuffix(" pt") for end in interval)
    return f"[{low}, {high}]"


def format_difference_forms(difference: AccuracyDifference) -> tuple[str, ...]:
    """Return a difference as text, from the longest to the shortest form."""
    points = format_points(difference.difference)
    ends = format_points_interval(difference.interval)
    short = points if difference.band is None else f"{ACCURACY_GLYPHS[difference.band]} {points}"
    return (f"{short} {ends}", short) if ends else (short,)


def name_points(form: str) -> str:
    """Say in a difference what its points are of: `✗ −29.7 pt accuracy [−39.5, −20.0]`."""
    return form.replace(" pt", " pt accuracy", 1)


def describe_progress(session: SessionState, name: str, task: str) -> str:
    """Describe how far a cell is in a task: `answering facts: 120 of 157`."""
    answered, items = count_answers(session, name, task)
    return f"answering {task}: {answered:,} of {items:,}"


def count_answers(session: SessionState, name: str, task: str) -> tuple[int, int]:
    """Count the items of a task that a cell has answered, and all of them."""
    answered = sum(len(part.scores) for part in session.answers.get((name, task), ()))
    items = next((own.items for own in session.plan.tasks if own.name == task), answered)
    return answered, items


def describe_score(session: SessionState, name: str, task: TaskSpec) -> str:
    """Describe in words what a cell reached in a task: `arithmetic 71.3 %, 300 items`."""
    score = find_score(session, name, task)
    if score is None:
        return ""
    if score.ending is not None and score.ending.failed:
        return f"{task.name}: {score.ending.failed}"
    noun = "Spearman " if task.kind == "pairs" else ""
    return (
        f"{task.name} {noun}{format_reached(session, name, task)}, {format_count(score.n, 'item')}"
    )


def compute_reached(session: SessionState, name: str, task: TaskSpec) -> float | None:
    """Return the accuracy of a cell as a share of 1, of pairs Spearman's correlation."""
    score = find_score(session, name, task)
    if score is None or not score.n:
        return None
    if task.kind == "pairs":
        targets = list_targets(session, task)[: score.n]
        return rank_correlation.compute_rank_correlation(targets, score.scores)
    return sum(score.scores) / score.n


def format_reached(session: SessionState, name: str, task: TaskSpec) -> str:
    """Format the accuracy of a cell: `71.3 %`, of pairs `0.823`; `—` without one."""
    return format_score(task.kind, compute_reached(session, name, task))


def format_score(kind: TaskKind, score: float | None) -> str:
    """Format an accuracy: `71.3 %`, of pairs `0.823`; `—` without one."""
    if score is None:
        return MISSING
    return f"{score:.3f}" if kind == "pairs" else format_share(score, 1)


def describe_difference(difference: AccuracyDifference) -> str:
    """Describe a difference in words, with the items that it rests on and those that would decide.

    `−1.3 pt [−2.9, +0.2], 2 gained, 6 lost of 300; about 1,900 items decide 1 pt`.
    """
    if difference.difference is None:
        return difference.reason
    points = format_points(difference.difference)
    interval = format_points_interval(difference.interval)
    text = f"{points} {interval}".rstrip()
    if difference.task.kind == "pairs":
        remark = f": {difference.reason}" if difference.reason else ", interval at this n alone"
        text += f", {format_count(difference.n, 'pair')}{remark}"
    else:
        text += f", {difference.gained} gained, {difference.lost} lost of {difference.n:,}"
    return "; ".join(filter(None, (text, describe_needed(difference))))


def describe_needed(difference: AccuracyDifference) -> str:
    """Say how many items would decide: `about 1,900 items decide 1 pt`; empty if they have."""
    if not difference.still_needed:
        return ""
    noun = "pairs" if difference.task.kind == "pairs" else "items"
    return f"about {difference.still_needed:,} {noun} decide {100 * difference.margin:.3g} pt"


def format_band(band: AccuracyBand) -> str:
    """Format a verdict: `✗ worse`."""
    return f"{ACCURACY_GLYPHS[band]} {band}"


def list_targets(session: SessionState, task: TaskSpec) -> tuple[float, ...]:
    """Return the similarities that the pairs of a task are held against, in the order asked."""
    return tuple(t for part in session.questions.get(task.name, ()) for t in part.targets)
