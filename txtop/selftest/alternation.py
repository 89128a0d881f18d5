"""Compare two loops turn by turn, so that whatever the machine does meanwhile affects both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from txtop.selftest.verdict import OverheadResult, TimingPair, compute_arm_timing, judge_pairs

# On a shared machine the speed wanders on every time scale alike: the interval narrows with the
# number of turns, not with their length. Shorter ones would be mostly the screen's waking up.
SLICE_S = 0.6
TURNS = 20


class Loop(Protocol):
    """One arm. It uses no processor time outside `run_for` and `take_gaps`."""

    def run_for(self, seconds: float) -> None:
        """Run for one turn."""

    def take_gaps(self) -> list[int]:
        """Return the gaps between tokens, in ns, of the turns since the last call."""


ArmStarter = Callable[[], AbstractContextManager[tuple[Loop, Loop]]]


def compare_loops(
    start: ArmStarter,
    *,
    min_pairs: int,
    max_pairs: int,
    half_width: float,
    say: Callable[[str], None],
    turns: int = TURNS,
) -> OverheadResult:
    """Measure pairs until the mean ratio is known to `half_width`, or certainly out of bounds.

    A pair starts both arms (bare, watched) afresh, then runs `turns` turns of each; the arm that
    goes first alternates. A process keeps the properties of its start (the layout of its memory:
    1.2 % of its speed from start to start was measured), so more turns of the same two processes
    would narrow the interval around a value of chance.
    """
    pairs: list[TimingPair] = []
    while True:
        with start() as (bare, watched):
            for turn in range(turns):
                for loop in (bare, watched) if turn % 2 == 0 else (watched, bare):
                    loop.run_for(SLICE_S)
            pairs.append(
                TimingPair(
                    bare=compute_arm_timing(bare.take_gaps()),
                    watched=compute_arm_timing(watched.take_gaps()),
                )
            )
        say(pairs[-1].format_line(len(pairs)))
        if len(pairs) < max(2, min_pairs):
            continue
        result = judge_pairs(pairs, half_width)
        if result.precise or result.beyond or len(pairs) >= max_pairs:
            return result
