"""Spearman's rank correlation, and the difference of two of them on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from txtop.stats.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 2_000
MIN_PAIRS = 10
TAIL = 0.025
MAX_UNCHANGED = 0.05
"""The share of resamples without any difference from which on there is no interval."""
TOO_FEW_RANKS = "too few ranks differ for an interval"
_LARGEST = 2.0


class CorrelationDifference(NamedTuple):
    """The correlations of two sides with the same targets, `None` where one does not exist.

    `interval` is that of their difference; without one `reason` says why. `is_unchanged` if no pair
    has another rank.
    """

    base: float | None
    own: float | None
    interval: Interval | None = None
    reason: str = ""
    is_unchanged: bool = False


def compute_rank_correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Spearman's correlation, ties at their mean rank; None where one side is constant."""
    import numpy as np

    value = float(_correlate(_rank(np.asarray([x], float)), _rank(np.asarray([y], float)))[0])
    return value if np.isfinite(value) else None


def compare_correlations(
    targets: Sequence[float], base: Sequence[float], own: Sequence[float]
) -> CorrelationDifference:
    """Compare the correlations of `base` and of `own` with `targets`.

    The interval is the percentile interval of a bootstrap of whole items (2,000 resamples), for
    this n alone. A resample without a correlation counts as the worst at either end. There is no
    interval below ten items, and none where the resamples cannot show a width.
    """
    scores = compute_rank_correlation(targets, base), compute_rank_correlation(targets, own)
    reason = _explain_no_correlation(targets, base, own)
    if reason or len(targets) < MIN_PAIRS:
        return CorrelationDifference(*scores, None, reason or f"fewer than {MIN_PAIRS} pairs")
    import numpy as np

    first, second = _rank(np.asarray([base, own], float))
    if (first == second).all():
        return CorrelationDifference(*scores, None, TOO_FEW_RANKS, is_unchanged=True)
    return CorrelationDifference(*scores, *_bootstrap(targets, base, own))


def _explain_no_correlation(
    targets: Sequence[float], base: Sequence[float], own: Sequence[float]
) -> str:
    """Return what has one value alone, so that it has no ranks; empty if nothing has."""
    sides = {"scores": targets, "similarities": own, "similarities of the reference": base}
    name = next((name for name, side in sides.items() if len(set(side)) == 1), None)
    return "" if name is None else f"no correlation: all {name} are equal"


def _bootstrap(
    targets: Sequence[float], base: Sequence[float], own: Sequence[float]
) -> tuple[Interval | None, str]:
    """Return the interval of the difference as `find_ends` does."""
    import numpy as np

    n = len(targets)
    random = np.random.RandomState(0)
    x, a, b = (np.asarray(side, float) for side in (targets, base, own))
    differences: list[Any] = []
    rows = max(1, 200_000 // n)
    for start in range(0, RESAMPLES, rows):
        places = random.randint(0, n, size=(min(rows, RESAMPLES - start), n))
        ranks = _rank(x[places])
        differences.append(
            _correlate(ranks, _rank(b[places])) - _correlate(ranks, _rank(a[places]))
        )
    return find_ends(np.concatenate(differences))


def find_ends(drawn: npt.NDArray[np.float64]) -> tuple[Interval | None, str]:
    """Return the percentile interval of the differences that were drawn, or why there is none.

    NaN is a resample without a correlation, of which anything could be true.
    """
    import numpy as np

    missing = np.isnan(drawn)
    if missing.mean() >= TAIL:
        return None, "too few values differ for an interval"
    if (np.abs(drawn) < 1e-12).mean() > MAX_UNCHANGED:
        return None, TOO_FEW_RANKS
    low = np.quantile(np.where(missing, -_LARGEST, drawn), TAIL)
    high = np.quantile(np.where(missing, _LARGEST, drawn), 1 - TAIL)
    return (float(low), float(high)), ""


def _rank(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the ranks within each row, equal values at their mean rank."""
    import numpy as np

    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    starts = np.ones(rows.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = np.cumsum(starts, axis=1) - 1 + np.arange(len(rows))[:, None] * rows.shape[1]
    flat = group.ravel()
    place = np.tile(np.arange(rows.shape[1], dtype=float), len(rows))
    counts = np.bincount(flat, minlength=rows.size)
    means = np.bincount(flat, place, minlength=rows.size) / np.maximum(counts, 1)
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, means[group], axis=1)
    return ranks


def _correlate(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Pearson's correlation of each row of `x` with that of `y`."""
    import numpy as np

    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: npt.NDArray[np.float64] = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return result
