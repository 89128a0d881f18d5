"""Sequential comparison of two arms that take turns: the ratio of their speeds and its verdict.

A block is one palindrome of requests (A B B A), so that linear drift cancels in its d = mean(ln a)
- mean(ln b). exp(mean d) is the speed of B over A, above 1 where B is faster. The rules are those
of docs/method.md, "A/B".
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

# Blocks before the first look that counts: palindromes, turns that reload the model, pairs.
FIRST_LOOK = 10
FIRST_LOOK_RELOADED = 5
FIRST_LOOK_PAIRED = 3
# Starts before the first look that counts. If a process is fast or slow by a toss, four starts show
# the same difference by chance once in 128, three once in 32.
FIRST_LOOK_STARTS = 4
# The most blocks of one of several starts: more would show better what differs from start to start.
BLOCKS_OF_START = FIRST_LOOK
MAX_EXPECTED_BLOCKS = 1 << 14
ALPHA = 0.05
# The largest n for which the exact distribution of the signed-rank statistic is computed.
MAX_EXACT_N = 25
SequentialVerdict = Literal["faster", "slower", "equivalent", "inconclusive"]


def compute_block_difference(a_ns: Sequence[float], b_ns: Sequence[float]) -> float:
    """Return d = mean(ln a) - mean(ln b) of one block, from the times of its requests."""
    return fmean(map(math.log, a_ns)) - fmean(map(math.log, b_ns))


@dataclass(frozen=True)
class Look:
    """The ratio after `n` blocks and its interval, None for fewer than two blocks.

    Before the first look that counts the interval is that of this look alone and decides nothing;
    from there on it is the intersection with all earlier ones that count.
    """

    n: int
    ratio: float
    interval: Interval | None


class ConfidenceSequence:
    """The confidence sequence of one comparison, valid at every look.

    It is the asymptotic sequence of Waudby-Smith et al. (`compute_anytime_half_width`), intersected
    with all earlier looks from the first that counts (10 blocks). `alpha` is the error probability
    of this comparison alone. If blocks are too expensive for that, `expect_few_blocks` switches to
    `compute_anytime_t_half_width` and an earlier first look.
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
        """Use the sequence for few blocks, with looks that count from `first_look` on.

        Call it before the first block is added.
        """
        self.first_look, self._half_width = first_look, compute_anytime_t_half_width

    @property
    def n(self) -> int:
        return len(self.differences)

    @property
    def wins(self) -> int:
        """The number of blocks in which B was faster."""
        return sum(d > 0 for d in self.differences)

    def add(self, difference: float) -> None:
        """Add the difference of the next block."""
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
        """The verdict, or None while it is open; `inconclusive` if the intersection is empty."""
        if self.n < self.first_look:
            return None
        if self._low > self._high:
            return "inconclusive"
        return judge_log_ratio(self._low, self._high, self.margin)

    @property
    def excludes_one(self) -> bool:
        """True if the interval excludes a ratio of 1: there is a difference, however small."""
        return self.n >= self.first_look and (self._low > 0 or self._high < 0)

    def expected_blocks(self) -> int | None:
        """Estimate the blocks that a verdict takes if mean and deviation stay as they are.

        None for fewer than two blocks, or if 16,384 would not be enough.
        """
        if self.n < 2:
            return None
        deviation = math.sqrt(self._squares / (self.n - 1))

        def decides(n: int) -> bool:
            half = self._half_width(n, deviation, self.alpha)
            return judge_log_ratio(self._mean - half, self._mean + half, self.margin) is not None

        least = max(self.n, self.first_look)
        if not decides(MAX_EXPECTED_BLOCKS):
            return None
        return least + bisect_left(range(least, MAX_EXPECTED_BLOCKS), True, key=decides)

    def copy(self) -> ConfidenceSequence:
        """Return an independent copy."""
        duplicate = copy.copy(self)
        duplicate.differences, duplicate.looks = list(self.differences), list(self.looks)
        return duplicate


def judge_log_ratio(low: float, high: float, margin: float) -> SequentialVerdict | None:
    """Judge an interval of d: wholly beyond ±ln(1 + margin), wholly inside, or None for neither."""
    band = math.log1p(margin)
    if low > band:
        return "faster"
    if high < -band:
        return "slower"
    return "equivalent" if -band <= low and high <= band else None


def compute_signed_rank_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of Wilcoxon's signed-rank test, or None if every difference is zero.

    Exact up to 25 differences without ties, else the normal approximation, corrected for ties and
    continuity.
    """
    nonzero = sorted((d for d in differences if d), key=abs)
    n = len(nonzero)
    if not n:
        return None
    positive, ties, rank = 0.0, 0.0, 0
    for _, group in groupby(nonzero, key=abs):
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
    """Return the exact p by counting the subsets of 1..n with each sum of ranks."""
    total = n * (n + 1) // 2
    ways = [1] + [0] * total
    for rank in range(1, n + 1):
        for reached in range(total, rank - 1, -1):
            ways[reached] += ways[reached - rank]
    tail = sum(ways[: min(positive, total - positive) + 1])
    return min(1.0, tail / 2.0 ** (n - 1))


def adjust_holm(values: Iterable[float | None]) -> list[float | None]:
    """Return p-values adjusted by Holm's step-down method, in their order; None stays None."""
    given = list(values)
    order = sorted((p, i) for i, p in enumerate(given) if p is not None)
    adjusted: list[float | None] = [None] * len(given)
    floor = 0.0
    for place, (p, i) in enumerate(order):
        floor = max(floor, min(1.0, p * (len(order) - place)))
        adjusted[i] = floor
    return adjusted
