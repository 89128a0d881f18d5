"""The departures of candidates from a race: their reasons, and what follows from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Why = Literal[
    "slower",
    "halved",
    "over the limit",
    "too long",
    "does not fit",
    "below the floor",
    "failed",
    "skipped",
]
# Who left for another candidate, which must be one that can be had.
BEATEN = ("slower", "halved")
# Who cannot be confirmed. What a winner is held against may be slower, or over a limit.
UNFIT = ("does not fit", "failed", "below the floor", "skipped")


@dataclass(frozen=True)
class Departure:
    """Why a candidate left, the candidate `against` which it was judged, and the figures.

    Of one that was beaten before it was lost, `against` is still what beat it.
    """

    why: Why
    against: str = ""
    detail: str = ""
