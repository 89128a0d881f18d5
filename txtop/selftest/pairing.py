"""Takes turns between two arms, so that what the machine does meanwhile hits both alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from txtop.selftest.verdict import Gaps, Pair, Result, arm_of, judge

TURN = 3
"""Iterations that count in a turn; a pair has four turns, two an arm."""


class Turns(Protocol):
    """One arm. It is stopped, costing nothing, whenever it is not its turn."""

    def turn(self, iterations: int) -> Gaps:
        """Wakes, does one iteration that does not count and `iterations` that do, and stops."""


def compare(
    bare: Turns,
    watched: Turns,
    *,
    min_pairs: int,
    max_pairs: int,
    half_width: float,
    say: Callable[[str], None],
    iterations: int = TURN,
) -> Result:
    """Pairs until the mean ratio is known to `half_width`, or is certainly out of bounds.

    Pairs go bare watched watched bare, then watched bare bare watched: linear drift cancels inside
    a pair, and whatever being first does cancels over two.
    """
    pairs: list[Pair] = []
    while True:
        outer, inner = (bare, watched) if len(pairs) % 2 == 0 else (watched, bare)
        around = outer.turn(iterations)
        between = inner.turn(2 * iterations)
        around += outer.turn(iterations)
        gaps = {id(outer): around, id(inner): between}
        pairs.append(Pair(arm_of(gaps[id(bare)]), arm_of(gaps[id(watched)])))
        say(pairs[-1].line(len(pairs)))
        if len(pairs) < max(2, min_pairs):
            continue
        result = judge(pairs, half_width)
        if result.precise or result.beyond or len(pairs) >= max_pairs:
            return result
