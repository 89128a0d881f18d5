"""Two arms that take turns: the ratio of their speeds, and what it says, at every look.

A block is one palindrome of requests (A B B A), so that linear drift cancels in its
d = mean(ln a) - mean(ln b). exp(mean d) is the speed of B over A, above 1 where B is faster.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Literal

from txtop.stats.intervals import Interval, compute_anytime_half_width, compute_anytime_t_half_width

FIRST_LOOK = 10
FIRST_LOOK_RELOADED = 5
FIRST_LOOK_PAIRED = 3
MAX_EXPECTED_BLOCKS = 1 << 14
ALPHA = 0.05
MAX_EXACT_N = 25
SequentialVerdict = Literal["faster", "slower", "equivalent", "inconclusive"]


def compute_block_difference(a_ns: Sequence[float], b_ns: Sequence[float]) -> float:
    """d of one block, from the times of its requests."""
    return fmean(map(math.log, a_ns)) - fmean(map(math.log, b_ns))


@dataclass(frozen=True)
class Look:
    """What could be said after `n` blocks; `interval` is of the ratio, null under two blocks.

    Before the first look that counts it is that look's own and decides nothing; from there on it
    is the intersection with all before it.
    """

    n: int
    ratio: float
    interval: Interval | None


class ConfidenceSequence:
    """The confidence sequence of one comparison: valid however often one looks.

    Asymptotic confidence sequence of Waudby-Smith et al. (`intervals.anytime_half_width`),
    intersected with all earlier ones from the first look, at 10 blocks, on. `alpha` is that of
    this comparison alone. Where blocks are so dear that 10 are not to be had, `few` makes it
    `intervals.anytime_t_half_width`, which holds from so many blocks on.
    """

    def __init__(self, margin: float, alpha: float = ALPHA) -> None:
        self.margin = margin
        self.alpha = alpha
        self.first_look = FIRST_LOOK
        self.differences: list[float] = []
        self.looks: list[Look] = []
        self._half_width = compute_anytime_half_width
        self._low, self._high = -math.inf, math.inf
        self._mean = self._squares = 0.0

    def expect_few_blocks(self, first_look: int) -> None:
        """There will be few blocks: looks from `first_look` on count. Before the first block."""
        self.first_look, self._half_width = first_look, compute_anytime_t_half_width

    @property
    def n(self) -> int:
        return len(self.differences)

    @property
    def wins(self) -> int:
        """Blocks in which B was the faster."""
        return sum(d > 0 for d in self.differences)

    def add(self, difference: float) -> None:
        """Takes the next block."""
        self.differences.append(difference)
        n = self.n
        step = difference - self._mean
        self._mean += step / n
        self._squares += step * (difference - self._mean)
        interval: Interval | None = None
        if n > 1:
            half = self._half_width(n, math.sqrt(self._squares / (n - 1)), self.alpha)
            low, high = self._mean - half, self._mean + half
            if n >= self.first_look:
                self._low, self._high = max(self._low, low), min(self._high, high)
                low, high = self._low, self._high
            if math.isfinite(half):
                interval = math.exp(low), math.exp(high)
        self.looks.append(Look(n, math.exp(self._mean), interval))

    @property
    def verdict(self) -> SequentialVerdict | None:
        """Null while it may still come; `inconclusive` where the intersection is empty."""
        if self.n < self.first_look:
            return None
        if self._low > self._high:
            return "inconclusive"
        return judge_log_ratio(self._low, self._high, self.margin)

    @property
    def excludes_one(self) -> bool:
        """Whether a difference, however small, has been shown."""
        return self.n >= self.first_look and (self._low > 0 or self._high < 0)

    def expected_blocks(self) -> int | None:
        """A guess at how many blocks a verdict takes, if mean and spread stay what they are; null
        where that is not in sight, or under two blocks."""
        if self.n < 2:
            return None
        deviation = math.sqrt(self._squares / (self.n - 1))

        def undecided(n: int) -> bool:
            half = self._half_width(n, deviation, self.alpha)
            return judge_log_ratio(self._mean - half, self._mean + half, self.margin) is None

        least = max(self.n, self.first_look)
        if undecided(MAX_EXPECTED_BLOCKS):
            return None
        return least + bisect_left(range(least, MAX_EXPECTED_BLOCKS), False, key=undecided)

    def copy(self) -> ConfidenceSequence:
        """As it is now; the original may go on."""
        found = copy.copy(self)
        found.differences, found.looks = list(self.differences), list(self.looks)
        return found


def judge_log_ratio(low: float, high: float, margin: float) -> SequentialVerdict | None:
    """What an interval of d says: wholly beyond ln(1 + margin), wholly inside, or neither."""
    band = math.log1p(margin)
    if low > band:
        return "faster"
    if high < -band:
        return "slower"
    return "equivalent" if -band <= low and high <= band else None


def compute_signed_rank_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test; null without a difference that is not zero.

    Exact up to 25 differences without ties, else the normal approximation, corrected for ties
    and continuity.
    """
    moved = sorted((d for d in differences if d), key=abs)
    n = len(moved)
    if not n:
        return None
    positive, ties, rank = 0.0, 0.0, 0
    for _, group in groupby(moved, key=abs):
        same = list(group)
        middle = rank + (len(same) + 1) / 2
        positive += middle * sum(d > 0 for d in same)
        ties += len(same) ** 3 - len(same)
        rank += len(same)
    if n <= MAX_EXACT_N and not ties:
        return _compute_exact_p(round(positive), n)
    variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48
    away = max(0.0, abs(positive - n * (n + 1) / 4) - 0.5)
    return math.erfc(away / math.sqrt(2 * variance))


def _compute_exact_p(positive: int, n: int) -> float:
    """From the number of subsets of 1..n with each sum."""
    total = n * (n + 1) // 2
    ways = [1] + [0] * total
    for rank in range(1, n + 1):
        for reached in range(total, rank - 1, -1):
            ways[reached] += ways[reached - rank]
    tail = sum(ways[: min(positive, total - positive) + 1])
    return min(1.0, tail / 2.0 ** (n - 1))


def adjust_holm(values: Iterable[float | None]) -> list[float | None]:
    """p-values of several comparisons, adjusted by Holm's step-down method, in their order."""
    given = list(values)
    order = sorted((p, i) for i, p in enumerate(given) if p is not None)
    adjusted: list[float | None] = [None] * len(given)
    least = 0.0
    for place, (p, i) in enumerate(order):
        least = max(least, min(1.0, p * (len(order) - place)))
        adjusted[i] = least
    return adjusted
