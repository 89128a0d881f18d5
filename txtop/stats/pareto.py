"""Which of several trades nobody would refuse: the Pareto front of a cost and a gain."""

from __future__ import annotations

from collections.abc import Sequence


def find_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (cost, gain) whether no other point dominates it.

    One dominates another when it costs at most as much and gains at least as much, and is better
    in one of the two; equal points do not dominate each other.
    """
    found = [False] * len(points)
    best: float | None = None
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    reached: tuple[float, float] | None = None
    for i in order:
        cost, gain = points[i]
        if best is None or gain > best:
            best, reached = gain, (cost, gain)
        found[i] = (cost, gain) == reached
    return found


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether (cost, gain) `one` is at least as good as `other` in both, and better in one."""
    return one[0] <= other[0] and one[1] >= other[1] and one != other
