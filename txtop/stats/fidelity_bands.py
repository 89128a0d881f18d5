"""How far one set of outputs is from another, in a word and with its doubt."""

from __future__ import annotations

import math
from typing import Literal

from txtop.stats.intervals import Interval

FidelityBand = Literal["lossless-like", "minor", "visible", "broken"]
FIDELITY_BANDS: tuple[FidelityBand, ...] = ("lossless-like", "minor", "visible", "broken")
MIN_FLOOR = 1e-6
KERNEL_WARNING = 10.0
_KLD = (0.001, 0.01, 0.1)
_TOP1 = (0.99, 0.96, 0.85)
_COSINE = (0.9999, 0.999, 0.99)
_Z95 = 1.959963984540054


def classify_tokens(kld: float, top1: float) -> FidelityBand:
    """The worse of what the mean KLD (nats) and the share of equal top tokens say."""
    by_kld = sum(kld > most for most in _KLD)
    by_top1 = sum(top1 < least for least in _TOP1)
    return FIDELITY_BANDS[max(by_kld, by_top1)]


def classify_cosines(pooled: float | None, tokens: float) -> FidelityBand:
    """The same for an encoder, by the worse of its mean cosines."""
    worse = tokens if pooled is None else min(pooled, tokens)
    return FIDELITY_BANDS[sum(worse < least for least in _COSINE)]


def compute_floor(repeated: float | None) -> float:
    """The mean KLD under which nothing is reported: the larger of the reference against a second
    pass of itself and 1e-6."""
    return max(MIN_FLOOR, repeated or 0.0)


def compute_wilson_interval(successes: int, n: int) -> Interval | None:
    """Wilson's 95 % score interval of a share; null without a trial."""
    if n <= 0:
        return None
    share, z2 = successes / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
