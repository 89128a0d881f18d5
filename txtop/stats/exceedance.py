"""The calls of a candidate that are over a limit, and the evidence that they are too many."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STAKES = (0.1, 0.25, 0.5, 0.8)


@dataclass
class Exceedance:
    """The calls of a candidate under one limit: `n` in all, `over` of them above it."""

    n: int = 0
    over: int = 0

    def is_kept(self, share: float) -> bool:
        """Return True if no more calls are over the limit than 1 - `share`, as far as is known."""
        return self.n == 0 or self.over <= (1 - share) * self.n + 1e-9

    def compute_evidence(self, share: float) -> float:
        """Return the wealth of a bettor against "at most 1 - `share` of the calls are over".

        If that is true its mean is at most 1 after any number of calls, so it ever reaches 1 /
        alpha with a probability of at most alpha (Waudby-Smith and Ramdas 2024, "Estimating means
        of bounded random variables by betting"). The mean of four stakes.
        """
        allowed = 1 - share
        wealth = 0.0
        for stake in _STAKES:
            bet = stake / max(allowed, 1e-3)
            # A call within the limit must leave something to bet with.
            bet = min(bet, 0.9 / allowed) if allowed else bet
            log = self.over * math.log1p(bet * (1 - allowed)) + (self.n - self.over) * math.log1p(
                -bet * allowed
            )
            wealth += math.exp(min(700.0, log))
        return wealth / len(_STAKES)
