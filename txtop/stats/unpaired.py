"""Comparison of two independent sets of times, as in docs/method.md, "Comparing sessions"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_ITERATIONS = 9
RESAMPLES = 4_000
UnpairedVerdict = Literal["faster", "slower", "equivalent", "inconclusive", "insufficient", "busy"]


@dataclass(frozen=True)
class UnpairedRatio:
    """The speed of new over base, from times: above 1 the new side is faster.

    A side's time is the median of its sessions' medians; each of several starts in one counts as a
    session, for equal processes differ. `p` is that of the Mann-Whitney test, on
    iterations with one session a side, on the sessions' medians with more. The verdict is `busy`
    if others took the processor from a side: it has no interval then.
    """

    ratio: float | None
    ci95: tuple[float, float] | None
    p: float | None
    n_base: int
    n_new: int
    sessions_base: int
    sessions_new: int
    verdict: UnpairedVerdict


def compare_unpaired(
    base: Sequence[Sequence[float]], new: Sequence[Sequence[float]], margin: float, seed: int = 0
) -> UnpairedRatio:
    """Compare the times of two sides, given as one sequence per session.

    A verdict needs 9 iterations a side; faster or slower needs an interval wholly outside
    [1/(1+margin), 1+margin].
    """
    import numpy as np

    older, newer = (
        [np.asarray(s, dtype=np.float64) for s in side if len(s)] for side in (base, new)
    )
    n_base, n_new = (sum(s.size for s in side) for side in (older, newer))
    ratio = ci95 = p = None
    verdict: UnpairedVerdict = "insufficient"
    if older and newer:
        ratio = _compute_ratio(_compute_level(older), _compute_level(newer))
    if min(n_base, n_new) >= MIN_ITERATIONS:
        ci95 = _compute_interval(older, newer, seed) if ratio is not None else None
        p = _compute_mann_whitney(*_rank(older, newer))
        verdict = judge_ratio(ci95, margin)
    return UnpairedRatio(ratio, ci95, p, n_base, n_new, len(older), len(newer), verdict)


def judge_ratio(ci95: tuple[float, float] | None, margin: float) -> UnpairedVerdict:
    """Return the verdict on an interval of the ratio, given a margin."""
    if ci95 is None:
        return "inconclusive"
    low, high = 1 / (1 + margin), 1 + margin
    if ci95[1] < low:
        return "slower"
    if ci95[0] > high:
        return "faster"
    return "equivalent" if low <= ci95[0] and ci95[1] <= high else "inconclusive"


def withhold_verdict(contrast: UnpairedRatio) -> UnpairedRatio:
    """Return the ratio alone, for sides of which one was measured on a busy machine."""
    return replace(contrast, ci95=None, p=None, verdict="busy")


def _compute_level(side: list[NDArray[np.float64]]) -> float:
    import numpy as np

    return float(np.median([np.median(s) for s in side]))


def _compute_ratio(base: float, new: float) -> float | None:
    return base / new if base > 0 and new > 0 else None


def _compute_interval(
    base: list[NDArray[np.float64]], new: list[NDArray[np.float64]], seed: int
) -> tuple[float, float] | None:
    """Return the percentile interval of a hierarchical bootstrap.

    Sessions are drawn with replacement, then iterations of each.
    """
    import numpy as np

    random = np.random.RandomState(seed)
    old, fresh = _resample(base, random), _resample(new, random)
    if not (np.all(old > 0) and np.all(fresh > 0)):
        return None
    low, high = np.quantile(old / fresh, (0.025, 0.975))
    return float(low), float(high)


def _resample(
    side: list[NDArray[np.float64]], random: np.random.RandomState
) -> NDArray[np.float64]:
    """Return the level of a side in each resample.

    The medians of each session are bootstrapped once; a resample takes a random one from each
    session it draws.
    """
    import numpy as np

    medians = np.stack([_resample_medians(s, random) for s in side])
    if len(side) == 1:
        return np.asarray(medians[0], dtype=np.float64)
    shape = (RESAMPLES, len(side))
    session = random.randint(0, len(side), size=shape)
    drawn = medians[session, random.randint(0, RESAMPLES, size=shape)]
    return np.asarray(np.median(drawn, axis=1), dtype=np.float64)


def _resample_medians(x: NDArray[np.float64], random: np.random.RandomState) -> NDArray[np.float64]:
    import numpy as np

    rows = max(1, 1_000_000 // x.size)
    parts = [
        np.median(x[random.randint(0, x.size, size=(min(rows, RESAMPLES - at), x.size))], axis=1)
        for at in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)


def _rank(
    base: list[NDArray[np.float64]], new: list[NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    if len(base) == len(new) == 1:
        return base[0], new[0]
    a, b = (np.asarray([np.median(s) for s in side]) for side in (base, new))
    return a, b


def _compute_mann_whitney(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the two-sided p by the normal approximation, corrected for ties and continuity.

    It is 1 if all values are equal.
    """
    import numpy as np

    n, m = a.size, b.size
    _, group, count = np.unique(np.concatenate([a, b]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[group]
    u = float(ranks[:n].sum()) - n * (n + 1) / 2
    total = n + m
    ties = float((count.astype(np.float64) ** 3 - count).sum()) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))
