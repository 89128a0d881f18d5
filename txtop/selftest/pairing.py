"""Takes turns between two loops, so that what the machine does meanwhile hits both alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from txtop.selftest.verdict import Pair, Result, arm_of, judge

# On a shared machine the speed wanders on every time scale alike: the interval narrows with the
# number of turns, not with their length. Shorter ones would be mostly the screen's waking up.
SLICE_S = 0.6
TURNS = 4


class Loop(Protocol):
    """One arm; it costs nothing outside `run_for` and `gaps`."""

    def run_for(self, seconds: float) -> None:
        """Takes one turn."""

    def gaps(self) -> list[int]:
        """The gaps between tokens in ns of the turns since it was last asked."""


def compare(
    bare: Loop,
    watched: Loop,
    *,
    min_pairs: int,
    max_pairs: int,
    half_width: float,
    say: Callable[[str], None],
    turns: int = TURNS,
) -> Result:
    """Pairs until the mean ratio is known to `half_width`, or is certainly out of bounds.

    A pair is `turns` turns of each arm, one by one; who begins alternates from pair to pair.
    """
    pairs: list[Pair] = []
    while True:
        order = (bare, watched) if len(pairs) % 2 == 0 else (watched, bare)
        for _ in range(turns):
            for loop in order:
                loop.run_for(SLICE_S)
        pairs.append(Pair(bare=arm_of(bare.gaps()), watched=arm_of(watched.gaps())))
        say(pairs[-1].line(len(pairs)))
        if len(pairs) < max(2, min_pairs):
            continue
        result = judge(pairs, half_width)
        if result.precise or result.beyond or len(pairs) >= max_pairs:
            return result
