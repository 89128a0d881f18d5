"""The difference in accuracy of two models that answered the same items, valid at every look.

An item's difference is the score of the one less that of the other, from -1 to 1: of right and
wrong answers only those count that one of the two has. The rules are those of docs/method.md,
"Accuracy of a task".
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping

from txtop.stats.intervals import Interval

ALPHA = 0.05
MAX_ITEMS = 1 << 17
"""The most items that `count_deciding_items` looks for."""
# The shares of the capital that are bet, each on both sides, with equal weights.
_BETS = tuple(0.03 * 30 ** (i / 11) for i in range(12))
_STEPS = 40
# The normal quantile of 95 %.
_Z = 1.6448536269514722


def compute_log_evidence(counts: Mapping[float, float], mean: float) -> float:
    """Return the logarithm of the evidence against a true mean difference of `mean`.

    `counts` has the number of items by difference. The evidence is the capital of a gambler who
    bets that the mean is another one: under `mean` it is a martingale that starts at 1, so it ever
    reaches 1 / alpha with probability alpha at most (Ville 1939; Waudby-Smith and Ramdas 2024). It
    is a mixture of fixed bets and so depends on the counts alone, not on their order.
    """
    share = (1 + mean) / 2
    gains = []
    for bet in _BETS:
        for centre, side in ((share, 1), (1 - share, -1)):
            gain = 0.0
            for difference, n in counts.items():
                score = (1 + side * difference) / 2
                if n and score and centre <= 0:
                    return math.inf
                if n:
                    gain += n * math.log1p(bet * ((score / centre if score else 0.0) - 1))
            gains.append(gain)
    most = max(gains)
    total = math.fsum(math.exp(gain - most) for gain in gains)
    return most + math.log(total / (2 * len(_BETS)))


def compute_difference_interval(counts: Mapping[float, float]) -> Interval | None:
    """Return the confidence sequence of the mean difference, or None without items.

    It holds every mean against which the evidence is below 1 / `ALPHA`. The evidence is convex in
    the mean, so that these are an interval around the observed one.
    """
    n = sum(counts.values())
    if not n:
        return None
    centre, most = sum(d * count for d, count in counts.items()) / n, -math.log(ALPHA)

    def find_end(outside: float) -> float:
        inside = centre
        if compute_log_evidence(counts, outside) < most:
            return outside
        for _ in range(_STEPS):
            middle = (inside + outside) / 2
            if compute_log_evidence(counts, middle) < most:
                inside = middle
            else:
                outside = middle
        return outside

    return find_end(-1.0), find_end(1.0)


def excludes_zero(counts: Mapping[float, float]) -> bool:
    """Return True if there is a difference, however small."""
    return bool(counts) and compute_log_evidence(counts, 0.0) >= -math.log(ALPHA)


def bound_unchanged(n: int) -> float:
    """Return the share of items that can differ at most where none of `n` did, for this n alone.

    A larger one would have shown itself in n items with a probability of 95 %: the rule of three.
    """
    return float(1 - ALPHA ** (1 / n))


def count_unchanged_items(loss: float) -> int | None:
    """Return the items with which `bound_unchanged` is `loss` or less; None beyond 131,072."""
    n = math.ceil(math.log(ALPHA) / math.log1p(-loss)) if 0 < loss < 1 else MAX_ITEMS + 1
    return n if n <= MAX_ITEMS else None


def count_deciding_items(discordant: float, loss: float) -> int | None:
    """Return the items with which a true loss of `loss` is found in 95 % of sessions.

    `discordant` is the share of items that one of the two alone answers rightly, at least `loss`.
    The number is the smallest with which the evidence suffices even for the 5 % quantile of the
    loss that is observed (normal approximation). None beyond 131,072 items.
    """
    if not 0 < loss <= 1:
        return None
    discordant = min(1.0, max(discordant, loss))
    deviation = math.sqrt(max(0.0, discordant - loss * loss))

    def suffices(n: int) -> bool:
        observed = max(0.0, loss - _Z * deviation / math.sqrt(n))
        counts = {
            -1.0: n * (discordant + observed) / 2,
            0.0: n * (1 - discordant),
            1.0: n * (discordant - observed) / 2,
        }
        return excludes_zero(counts)

    if not suffices(MAX_ITEMS):
        return None
    return 1 + bisect_left(range(1, MAX_ITEMS), True, key=suffices)
