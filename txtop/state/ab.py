"""The state of an A/B: its blocks, and a confidence sequence for each arm after the first.

The rules are those of docs/method.md, "A/B".
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from statistics import fmean

from txtop.formatting import format_ratio_interval, format_share
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol.events import ABBlock
from txtop.stats.intervals import Interval, compute_mean_interval
from txtop.stats.sequential import (
    ALPHA,
    FIRST_LOOK_PAIRED,
    FIRST_LOOK_RELOADED,
    FIRST_LOOK_STARTS,
    ConfidenceSequence,
    Look,
    SequentialVerdict,
    adjust_holm,
    compute_block_difference,
    compute_signed_rank_p,
)

NO_LOOK = Look(0, 1.0, None)


@dataclass
class ABTest:
    """The state of an A/B, with its arms in order.

    `sequences` holds the comparison of each later arm with the first, `out` the reason for which an
    arm is no longer compared. Several comparisons share the 5 % equally (Bonferroni), so that all
    of them may be looked at, at any time; the p-values of the final table are adjusted by Holm.

    A comparison is over blocks, or over the `starts` if there are several, since equal processes
    differ for as long as they live. `open_start` holds the differences in its blocks so far.
    `planned` of them are measured whatever they show; None if a verdict ends the A/B.
    """

    arms: tuple[Cell, ...]
    margin: float
    blocks: list[ABBlock] = field(default_factory=list)
    sequences: dict[str, ConfidenceSequence] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    starts: int = 1
    planned: int | None = None
    open_start: dict[str, list[float]] = field(default_factory=dict)
    reloaded: bool = False
    paired: bool = False

    @classmethod
    def of(cls, plan: Plan) -> ABTest | None:
        """Return the empty state of a plan, or None if the plan is not an A/B."""
        if plan.margin is None or len(plan.cells) < 2:
            return None
        alpha = ALPHA / (len(plan.cells) - 1)
        sequences = {c.id: ConfidenceSequence(plan.margin, alpha) for c in plan.cells[1:]}
        ab_test = cls(plan.cells, plan.margin, sequences=sequences, starts=plan.starts)
        if plan.iterations is not None:
            ab_test.planned = plan.starts if plan.starts > 1 else plan.iterations
        if plan.starts > 1:
            ab_test._expect_few(FIRST_LOOK_STARTS)
        return ab_test

    def _expect_few(self, first_look: int) -> None:
        for sequence in self.sequences.values():
            sequence.expect_few_blocks(first_look)

    @property
    def first(self) -> Cell:
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def kept_blocks(self) -> int:
        """The number of blocks that count."""
        return sum(block.kept for block in self.blocks)

    @property
    def unit(self) -> str:
        """The name of what is compared: a block, or a start."""
        return "start" if self.starts > 1 else "block"

    @property
    def units(self) -> list[ABBlock]:
        """The blocks that count, or those of them that ended a start."""
        return [b for b in self.blocks if b.kept and (self.starts == 1 or b.ends_start)]

    @property
    def open_blocks(self) -> int:
        """The number of blocks of the open start."""
        return max(map(len, self.open_start.values()), default=0)

    @property
    def busy_blocks(self) -> int:
        """The number of blocks that count although others took the processor in them."""
        return sum(block.kept and bool(block.contention) for block in self.blocks)

    @property
    def left_in(self) -> list[Cell]:
        """The arms that can still be compared; empty if the first is out."""
        return [] if self.first.id in self.out else [a for a in self.arms if a.id not in self.out]

    @property
    def compared(self) -> list[ConfidenceSequence]:
        """The comparisons that can have a verdict."""
        return [self.sequences[arm.id] for arm in self.left_in[1:]]

    @property
    def decided(self) -> bool:
        """True if every comparison that can have a verdict has one."""
        return all(sequence.verdict is not None for sequence in self.compared)

    @property
    def first_look(self) -> int:
        """The number of blocks, or starts, before which no verdict is given."""
        return next(iter(self.sequences.values())).first_look

    def describe_goal(self, n: int) -> str:
        """Describe what `n` blocks, or starts, are of: ` of 5`, or ` of at least 4` where a verdict
        ends the A/B; empty once there are so many.
        """
        goal = self.planned or self.first_look
        if n >= goal:
            return ""
        return f" of {goal}" if self.planned else f" of at least {goal}"

    @property
    def are_few(self) -> bool:
        """True if the interval is that for few blocks, or starts, which assumes normal noise."""
        return self.paired or self.starts > 1

    @property
    def surely(self) -> str:
        """The claim that the interval supports, in words."""
        busy = ", on a busy machine" if self.busy_blocks else ""
        if self.reloaded:
            return f"indicative: each turn was a load of its own{busy}"
        noise = ", assumes normally distributed noise" if self.are_few else ""
        return f"95 %, holds however often you check{noise}{busy}"

    def letter(self, name: str) -> str:
        """Return A for the first arm, B for the second, and so on."""
        return chr(ord("A") + next(i for i, arm in enumerate(self.arms) if arm.id == name))

    def does_same_work(self, name: str) -> bool:
        """Return whether a call of arm `name` is the same work as one of the first."""
        return _get_work(self._get_arm(name)) == _get_work(self.first)

    def compare_calls(self, name: str) -> float | None:
        """Return how many times as long a call of arm `name` takes as one of the first.

        None before the first look, and if both are the same work: the ratio of their speeds says
        it. Else that is of the work done per second.
        """
        look, first, own = self.look(name), self.first, self._get_arm(name)
        if not look.n or self.does_same_work(name):
            return None
        work = (own.batch_size * own.new_tokens) / (first.batch_size * first.new_tokens)
        return work / look.ratio

    def _get_arm(self, name: str) -> Cell:
        return next(arm for arm in self.arms if arm.id == name)

    def add(self, block: ABBlock, times: dict[str, list[float]]) -> str:
        """Add a block and return a log line about it, empty if there is nothing to report.

        `times` are ns per request, or per unit of work if the arms differ in it.
        """
        self.blocks.append(block)
        if not block.kept:
            return f"block discarded: {', '.join(block.reasons)}"
        if (block.reloaded or block.paired) and self.kept_blocks == 1:
            self.reloaded, self.paired = block.reloaded, block.paired
            if self.starts == 1:
                self._expect_few(FIRST_LOOK_RELOADED if block.reloaded else FIRST_LOOK_PAIRED)
        lines = []
        baseline = times.get(self.first.id)
        for name, sequence in self.sequences.items():
            mine = times.get(name)
            if not baseline or not mine:
                continue
            differences = self.open_start.setdefault(name, [])
            differences.append(compute_block_difference(baseline, mine))
            if self.starts > 1 and not block.ends_start:
                continue
            before = sequence.verdict
            sequence.add(fmean(self.open_start.pop(name)))
            if sequence.verdict != before:
                lines.append(self.words(name))
        return "; ".join(lines)

    def withdraw(self, name: str, why: str) -> None:
        """Stop comparing the arm `name`, for the reason `why`."""
        self.out.setdefault(name, why)
        self.open_start.pop(name, None)

    def explain_no_verdict(self, name: str) -> str:
        """Return the reason for which arm `name` cannot have a verdict; empty if it can."""
        for arm in (self.first.id, name):
            if arm in self.out:
                return f"{self.letter(arm)} {self.out[arm]}"
        return ""

    def verdict(self, name: str, *, over: bool = False) -> SequentialVerdict | None:
        """Return the verdict on arm `name` against the first, or None.

        When the session is `over`, an open comparison is inconclusive; None then means that an arm
        could not be measured.
        """
        if self.explain_no_verdict(name):
            return None
        verdict = self.sequences[name].verdict
        return "inconclusive" if verdict is None and over else verdict

    def look(self, name: str) -> Look:
        """Return the latest look at the comparison of arm `name`."""
        looks = self.sequences[name].looks
        return looks[-1] if looks else NO_LOOK

    def p_values(self) -> dict[str, float | None]:
        """Return Wilcoxon's p of each comparison, adjusted by Holm if there are several."""
        raw = [compute_signed_rank_p(s.differences) for s in self.sequences.values()]
        return dict(zip(self.sequences, adjust_holm(raw), strict=True))

    def fixed_interval(self, name: str, seed: int) -> Interval | None:
        """Return the 95 % interval of the ratio for this number of blocks alone."""
        interval = compute_mean_interval(self.sequences[name].differences, seed)
        return None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))

    def words(self, name: str, *, over: bool = False) -> str:
        """Describe the comparison in one line, with its interval."""
        a, b = self.letter(self.first.id), self.letter(name)
        why = self.explain_no_verdict(name)
        if why:
            return f"{b} against {a}: no verdict, {why}"
        look, verdict = self.look(name), self.verdict(name, over=over)
        if look.interval is None:
            return f"{b} against {a}: {self.unit} {look.n}{self.describe_goal(look.n)}"
        (low, high), ratio = look.interval, look.ratio
        surely = self.surely
        if verdict == "faster":
            return (
                f"{b} is {ratio:.2f}x as fast as {a}  {format_ratio_interval(low, high)}  {surely}"
            )
        if verdict == "slower":
            inverse = format_ratio_interval(1 / high, 1 / low)
            return f"{a} is {1 / ratio:.2f}x as fast as {b}  {inverse}  {surely}"
        between = f"{ratio:.3f} {format_ratio_interval(low, high)}  {surely}"
        if verdict == "equivalent":
            excludes_one = self.sequences[name].excludes_one
            least = (
                f"; measurable: {format_share(abs(ratio - 1), 1)}, inside the margin"
                if excludes_one
                else ""
            )
            return f"{b} is as fast as {a} within {self.margin * 100:.3g} %  {between}{least}"
        if verdict == "inconclusive" and low > high:
            return f"{b} against {a}: inconclusive, results contradict each other"
        word = "inconclusive" if verdict else f"{self.unit} {look.n}, no verdict yet"
        return f"{b} against {a}: {word}  {between}"

    def what_if(self, margin: float) -> ABTest:
        """Return the same blocks, judged by another margin than the one recorded before the run."""
        other = self.copy()
        other.margin = margin
        for sequence in other.sequences.values():
            sequence.margin = margin
        return other

    def copy(self) -> ABTest:
        """Return an independent copy."""
        duplicate = copy.copy(self)
        duplicate.blocks, duplicate.out = list(self.blocks), dict(self.out)
        duplicate.sequences = {name: s.copy() for name, s in self.sequences.items()}
        duplicate.open_start = {
            name: list(differences) for name, differences in self.open_start.items()
        }
        return duplicate


def _get_work(arm: Cell) -> tuple[int, int, int]:
    return arm.batch_size, arm.sequence_length, arm.new_tokens
