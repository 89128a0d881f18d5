"""The Pareto front of points with a cost and a gain."""

from __future__ import annotations

from collections.abc import Sequence


def find_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each (cost, gain) point True if no other point dominates it.

    A point dominates another if it costs no more, gains no less, and is better in at least one of
    the two; equal points do not dominate each other.
    """
    on_front = [False] * len(points)
    best: float | None = None
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    reached: tuple[float, float] | None = None
    for i in order:
        cost, gain = points[i]
        if best is None or gain > best:
            best, reached = gain, (cost, gain)
        on_front[i] = (cost, gain) == reached
    return on_front


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return True if (cost, gain) `one` is as good as `other` in both, and better in one."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other
