"""A candidate of a race: its blocks, how it left, and the part of the budget that is for it."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from statistics import fmean

from txtop.stats.departure import BEATEN, Departure
from txtop.stats.exceedance import Exceedance
from txtop.stats.intervals import compute_anytime_half_width, compute_deviation
from txtop.stats.stopping import MIN_ITERATIONS, MIN_MEASURED_S, RATE_HALF_WIDTH

# Before a round is compared at all: of fewer the interval is infinite anyway.
MIN_ROUNDS = 4
# Of what a sweep of the candidates would measure, each within the budget of a cell.
SWEEP_SHARE = 0.2
CONFIRM_SHARE = 0.25
# Before the calls within blocks tell how much one differs from another.
LEAST_FREEDOM = 8
CELL_BUDGET_S = 30.0


@dataclass
class Candidate:
    """One candidate: its costs by round, its calls under each limit, and how it left, if it did.

    `call_s` is the duration of one call, `block_s` that of one block, `spent_s` that of all blocks
    in the race. `spread` sums the squared distances of the logs of calls from the mean of their
    block, and counts their degrees of freedom. `swept_s` keeps an estimate with the number of
    blocks that it is of. One that came back is measured from `joined_round` on.
    """

    name: str
    calls: list[Exceedance]
    costs: dict[int, float] = field(default_factory=dict)
    call_s: float = 0.0
    block_s: float = 0.0
    spent_s: float = 0.0
    spread: tuple[float, int] = (0.0, 0)
    swept_s: tuple[int, float] = field(default=(-1, 0.0), compare=False)
    left: Departure | None = None
    left_round: int = 0
    joined_round: int = 0

    @property
    def lost(self) -> Departure | None:
        """Return how it left if it must not be had: not for a better candidate."""
        return self.left if self.left is not None and self.left.why not in BEATEN else None


def estimate_sweep_s(own: Candidate) -> float:
    """Estimate for how long a sweep would measure a candidate until its interval is narrow.

    A sweep measures one candidate at a stretch, so that its calls differ by what calls of one block
    do; blocks of different rounds differ more where the machine drifts. They are taken where a
    block has one call.
    """
    least = max(MIN_MEASURED_S, MIN_ITERATIONS * own.call_s)
    costs = list(own.costs.values())
    if len(costs) < MIN_ROUNDS or least >= CELL_BUDGET_S:
        return least
    squares, freedom = own.spread
    if freedom >= LEAST_FREEDOM:
        deviation, each_s = math.sqrt(squares / freedom), own.call_s
    else:
        deviation, each_s = compute_deviation(costs, fmean(costs)), own.block_s
    most = max(2, math.ceil(CELL_BUDGET_S / each_s))

    def is_narrow(n: int) -> bool:
        return compute_anytime_half_width(n, deviation) <= RATE_HALF_WIDTH

    n = 2 + bisect_left(range(2, most), True, key=is_narrow)
    return min(CELL_BUDGET_S, max(least, n * each_s))


def compute_share_s(own: Candidate) -> float:
    """Return the part of the budget that is for a candidate with an estimate.

    What one that was shown to be unfit has left of it is saved: the others do not get it.
    """
    share_s = SWEEP_SHARE * own.swept_s[1]
    if own.left is None or own.left.why == "halved":
        return share_s
    return min(share_s, own.spent_s / (1 - CONFIRM_SHARE))


def count_rounds(candidate: Candidate) -> int:
    """Return the first round that a candidate lacks."""
    return max(max(candidate.costs, default=-1) + 1, candidate.joined_round)
