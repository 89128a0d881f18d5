"""Put two sessions on one clock: each phase begins in both at once and lasts as in the slower."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from txtop.state.session import SessionState


@dataclass(frozen=True)
class AlignedSpan:
    """A stretch of both sessions: its start on the common clock, its start and length in each."""

    at_ns: int
    starts_ns: tuple[int, int]
    lengths_ns: tuple[int, int]

    @property
    def length_ns(self) -> int:
        """The length on the common clock: that of the slower session."""
        return max(self.lengths_ns)


def find_landmarks(state: SessionState) -> list[tuple[int, int, int]]:
    """Return (started, first measured, ended) in ns for every started cell, in start order.

    `state` is that of a whole session. If a cell was never measured, its end is also its second
    time.
    """
    started = sorted((c for c in state.cells.values() if c.worker), key=lambda c: c.started_at_ns)
    landmarks: list[tuple[int, int, int]] = []
    for cell in started:
        ended = max(cell.started_at_ns, cell.ended_at_ns or state.clock_ns)
        measured = min(ended, cell.measured_from_ns or ended)
        landmarks.append((cell.started_at_ns, max(cell.started_at_ns, measured), ended))
    return landmarks


def align_sessions(left: SessionState, right: SessionState) -> list[AlignedSpan]:
    """Return the spans from the start of both sessions to their ends.

    They are: before the first cell, loading and warming of the first cell of each, measuring it,
    the same of the second, and so on. Cells that only one session has come last.
    """
    pairs = zip(find_landmarks(left), find_landmarks(right), strict=False)
    stops = [(0, 0)]
    stops += [
        stop
        for left_marks, right_marks in pairs
        for stop in zip(left_marks, right_marks, strict=True)
    ]
    stops.append((left.clock_ns, right.clock_ns))
    legs: list[AlignedSpan] = []
    at_ns = 0
    for (a, b), (to_a, to_b) in pairwise(stops):
        leg = AlignedSpan(at_ns, (a, b), (max(0, to_a - a), max(0, to_b - b)))
        legs.append(leg)
        at_ns += leg.length_ns
    return legs


def split_position(legs: Sequence[AlignedSpan], position_ns: int) -> tuple[int, int]:
    """Return the positions of both sessions at a time of the common clock; the faster one waits."""
    leg = legs[max(0, bisect_right(legs, position_ns, key=lambda span: span.at_ns) - 1)]
    gone_ns = max(0, position_ns - leg.at_ns)
    (a, b), (long_a, long_b) = leg.starts_ns, leg.lengths_ns
    return a + min(gone_ns, long_a), b + min(gone_ns, long_b)


def compute_common_ns(legs: Sequence[AlignedSpan], side: int, place_ns: int) -> int:
    """Return the time of the common clock at which the session on `side` is at `place_ns`.

    `side` is 0 or 1.
    """
    before = [leg for leg in legs if leg.starts_ns[side] <= place_ns]
    leg = before[-1] if before else legs[0]
    gone_ns = max(0, place_ns - leg.starts_ns[side])
    return leg.at_ns + min(gone_ns, leg.lengths_ns[side])
