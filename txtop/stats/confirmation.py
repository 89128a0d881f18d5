"""The confirmation of a race: fresh blocks of few candidates, and who is judged by them.

The rules are those of docs/method.md, "The race".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from txtop.stats.intervals import compute_anytime_half_width, compute_anytime_t_half_width
from txtop.stats.log_ratio import LogRatio, compute_log_ratio
from txtop.stats.sequential import (
    ALPHA,
    FIRST_LOOK,
    FIRST_LOOK_PAIRED,
    SequentialVerdict,
    judge_log_ratio,
)


@dataclass
class Confirmation:
    """Fresh blocks of few candidates that take turns: the costs by block of those that had one.

    The order of `arms` means nothing. `spent_s` is the time that was measured. `paired`: blocks are
    so long that there will be few, and each arm has one turn in a block. Else two intervals share
    the error: before the tenth block the one for few blocks, from then on the narrower one.
    """

    arms: frozenset[str]
    paired: bool = False
    blocks: list[dict[str, float]] = field(default_factory=list)
    spent_s: float = 0.0

    @property
    def least_blocks(self) -> int:
        """Return the number of blocks that are measured even if that takes longer than allowed."""
        return FIRST_LOOK_PAIRED if self.paired else FIRST_LOOK

    def assumes_normal_noise(self, blocks: int) -> bool:
        """Return True if the interval of so many blocks is the one for few blocks."""
        return self.paired or blocks < FIRST_LOOK

    def compare(self, name: str, other: str) -> LogRatio:
        """Return the cost of `name` over that of `other`; all comparisons share the 5 %."""
        both = [block for block in self.blocks if name in block and other in block]
        logs = [block[name] - block[other] for block in both]
        intervals = math.comb(len(self.arms), 2) * (1 if self.paired else 2)
        are_few = self.assumes_normal_noise(len(both))
        half = compute_anytime_t_half_width if are_few else compute_anytime_half_width
        return compute_log_ratio(logs, half, ALPHA / intervals)

    def judge(self, name: str, other: str, margin: float) -> SequentialVerdict | None:
        """Judge `name` against `other`: faster, slower, equivalent, or None while it is open."""
        ratio = self.compare(name, other)
        if ratio.interval is None:
            return None
        low, high = ratio.interval
        return judge_log_ratio(-high, -low, margin)

    def is_decided(self, arms: Sequence[str], margin: float) -> bool:
        """Return True if the first of `arms` is judged against the others."""
        first, *others = arms
        return all(self.judge(first, other, margin) is not None for other in others)

    def find_open(self, arms: Sequence[str], margin: float) -> set[str]:
        """Return those of `arms` that are not yet judged against each other one."""
        pairs = combinations(arms, 2)
        return {name for pair in pairs if self.judge(*pair, margin) is None for name in pair}
