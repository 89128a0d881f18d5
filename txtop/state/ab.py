"""An A/B as far as it has come: its blocks, and one confidence sequence for each other arm."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol.events import ABBlock
from txtop.stats.intervals import Interval, compute_mean_interval
from txtop.stats.sequential import (
    ALPHA,
    FIRST_LOOK_PAIRED,
    FIRST_LOOK_RELOADED,
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
    """The arms in their order. `sequences` holds each other arm against the first, `out` why an
    arm is compared no more.

    With several comparisons each has an equal share of the 5 % (Bonferroni), so that they may all
    be looked at, at any time; the p-values of the final table are Holm's.
    """

    arms: tuple[Cell, ...]
    margin: float
    rounds: list[ABBlock] = field(default_factory=list)
    sequences: dict[str, ConfidenceSequence] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    reloaded: bool = False
    paired: bool = False

    @classmethod
    def of(cls, plan: Plan) -> ABTest | None:
        """Null where the plan is no A/B."""
        if plan.margin is None or len(plan.cells) < 2:
            return None
        alpha = ALPHA / (len(plan.cells) - 1)
        found = {c.id: ConfidenceSequence(plan.margin, alpha) for c in plan.cells[1:]}
        return cls(plan.cells, plan.margin, sequences=found)

    @property
    def first(self) -> Cell:
        """The arm that the others are held against."""
        return self.arms[0]

    @property
    def blocks(self) -> int:
        """How many count."""
        return sum(each.kept for each in self.rounds)

    @property
    def left_in(self) -> list[Cell]:
        """The arms that can still be compared: none where the first is out."""
        return [] if self.first.id in self.out else [a for a in self.arms if a.id not in self.out]

    @property
    def decided(self) -> bool:
        """Whether every comparison that can have a verdict has it."""
        return all(self.sequences[a.id].verdict is not None for a in self.left_in[1:])

    @property
    def one_work(self) -> bool:
        """Whether a request is the same work in all arms: else speed is that of a unit of work."""
        return len({(a.batch_size, a.sequence_length, a.new_tokens) for a in self.arms}) == 1

    @property
    def first_look(self) -> int:
        """Blocks before which no verdict may be given."""
        return next(iter(self.sequences.values())).first_look

    @property
    def surely(self) -> str:
        """What the interval is good for."""
        if self.reloaded:
            return "indicative: each turn was a load of its own"
        return "95 %, valid at every look" + (", if noise is normal" if self.paired else "")

    def letter(self, name: str) -> str:
        """A for the first arm, B for the second, and so on."""
        return chr(ord("A") + next(i for i, arm in enumerate(self.arms) if arm.id == name))

    def add(self, block: ABBlock, times: dict[str, list[float]]) -> str:
        """Takes a block with the time of each request (a unit of work, where they differ);
        returns what there is to say of it."""
        self.rounds.append(block)
        if not block.kept:
            return f"block discarded: {', '.join(block.reasons)}"
        if (block.reloaded or block.paired) and self.blocks == 1:
            self.reloaded, self.paired = block.reloaded, block.paired
            for sequence in self.sequences.values():
                sequence.expect_few_blocks(
                    FIRST_LOOK_RELOADED if block.reloaded else FIRST_LOOK_PAIRED
                )
        said = []
        base = times.get(self.first.id)
        for name, sequence in self.sequences.items():
            mine = times.get(name)
            if not base or not mine:
                continue
            before = sequence.verdict
            sequence.add(compute_block_difference(base, mine))
            if sequence.verdict != before:
                said.append(self.words(name))
        return "; ".join(said)

    def withdraw(self, name: str, why: str) -> None:
        """The arm `name` is compared no more."""
        self.out.setdefault(name, why)

    def explain_no_verdict(self, name: str) -> str:
        """Why the arm `name` has no verdict against the first; empty where it may have one."""
        for each in (self.first.id, name):
            if each in self.out:
                return f"{self.letter(each)} {self.out[each]}"
        return ""

    def verdict(self, name: str, *, over: bool = False) -> SequentialVerdict | None:
        """Of the arm `name` against the first. When the session is `over`, what is still open is
        inconclusive; null then says that an arm could not be measured."""
        if self.explain_no_verdict(name):
            return None
        found = self.sequences[name].verdict
        return "inconclusive" if found is None and over else found

    def look(self, name: str) -> Look:
        """What can be said now of that comparison."""
        looks = self.sequences[name].looks
        return looks[-1] if looks else NO_LOOK

    def p_values(self) -> dict[str, float | None]:
        """Wilcoxon's of each comparison, adjusted by Holm where there are several."""
        raw = [compute_signed_rank_p(s.differences) for s in self.sequences.values()]
        return dict(zip(self.sequences, adjust_holm(raw), strict=True))

    def fixed_interval(self, name: str, seed: int) -> Interval | None:
        """The 95 % interval of the ratio for this number of blocks alone (BCa from 30 on)."""
        found = compute_mean_interval(self.sequences[name].differences, seed)
        return None if found is None else (math.exp(found[0]), math.exp(found[1]))

    def words(self, name: str, *, over: bool = False) -> str:
        """One line: who is faster by how much, or that nobody is, with the interval."""
        a, b = self.letter(self.first.id), self.letter(name)
        why = self.explain_no_verdict(name)
        if why:
            return f"{b} against {a}: no verdict, {why}"
        look, verdict = self.look(name), self.verdict(name, over=over)
        if look.interval is None:
            return f"{b} against {a}: block {look.n} of at least {self.first_look}"
        (low, high), ratio = look.interval, look.ratio
        surely = self.surely
        if verdict == "faster":
            return f"{b} is {ratio:.2f}x faster than {a}  {_format_interval(low, high)}  {surely}"
        if verdict == "slower":
            turned = _format_interval(1 / high, 1 / low)
            return f"{a} is {1 / ratio:.2f}x faster than {b}  {turned}  {surely}"
        between = f"{ratio:.3f} {_format_interval(low, high)}  {surely}"
        if verdict == "equivalent":
            shown = self.sequences[name].excludes_one
            least = f"; measurable: {abs(ratio - 1):.1%}, inside the margin" if shown else ""
            return f"{b} is as fast as {a} within {self.margin:.3g}  {between}{least}"
        if verdict == "inconclusive" and low > high:
            return f"{b} against {a}: inconclusive, the looks contradict each other"
        word = "inconclusive" if verdict else f"block {look.n}, no verdict yet"
        return f"{b} against {a}: {word}  {between}"

    def what_if(self, margin: float) -> ABTest:
        """The same blocks, judged by another margin than was registered before the run."""
        found = self.copy()
        found.margin = margin
        for sequence in found.sequences.values():
            sequence.margin = margin
        return found

    def copy(self) -> ABTest:
        """As it is now; the original may go on."""
        found = copy.copy(self)
        found.rounds, found.out = list(self.rounds), dict(self.out)
        found.sequences = {name: s.copy() for name, s in self.sequences.items()}
        return found


def _format_interval(low: float, high: float) -> str:
    return f"[{low:.3f}, {high:.3f}]"
