"""Spearman's rank correlation, and the difference of two of them on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txtop.stats.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 2_000
MIN_PAIRS = 10


def compute_rank_correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Spearman's correlation, ties at their mean rank; None where one side is constant."""
    import numpy as np

    value = float(_correlate(_rank(np.asarray([x], float)), _rank(np.asarray([y], float)))[0])
    return value if np.isfinite(value) else None


def compare_correlations(
    targets: Sequence[float], base: Sequence[float], own: Sequence[float]
) -> tuple[tuple[float, float], Interval | None]:
    """Return the correlations of `base` and of `own` with `targets`, and their difference's 95 %.

    The interval is the percentile interval of a bootstrap of whole items (2,000 resamples), for
    this n alone; None below ten items. A correlation that does not exist is 0.
    """
    import numpy as np

    scores = tuple(compute_rank_correlation(targets, side) or 0.0 for side in (base, own))
    n = len(targets)
    if n < MIN_PAIRS:
        return (scores[0], scores[1]), None
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
    low, high = np.nanquantile(np.concatenate(differences), [0.025, 0.975])
    return (scores[0], scores[1]), (float(low), float(high))


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
