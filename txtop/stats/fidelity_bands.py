"""Bands for how close a model's output is to a reference, and the interval of a share.

The bounds are those of docs/method.md, "Badges".
"""

from __future__ import annotations

import math
from typing import Literal

from txtop.stats.intervals import Interval

FidelityBand = Literal["lossless-like", "minor", "visible", "broken"]
FIDELITY_BANDS: tuple[FidelityBand, ...] = ("lossless-like", "minor", "visible", "broken")
MIN_FLOOR = 1e-6
# Two fp32 attention kernels that differ by more than this many floors are worth a note.
KERNEL_WARNING = 10.0
# The last value that still belongs to each band but the worst, in the order of FIDELITY_BANDS.
KLD_LIMITS = (0.001, 0.01, 0.1)
TOP1_LIMITS = (0.99, 0.94, 0.80)
# A share of fewer positions is held against its bands by the upper end of its interval: of 64, two
# percent are one token.
MIN_TOP1_POSITIONS = 512
# The similarities of fewer texts than these order too few pairs.
MIN_SENTENCES = 16
COSINE_LIMITS = (0.9999, 0.999, 0.99)
# The first two by what trained weights lose, the last a guess: docs/method.md, "Badges".
SIMILARITY_LIMITS = (0.99, 0.94, 0.85)
LOSSLESS_KLD, LOSSLESS_COSINE = KLD_LIMITS[0], COSINE_LIMITS[0]
LOSSLESS_SIMILARITY = SIMILARITY_LIMITS[0]
_Z95 = 1.959963984540054


def classify_kld(kld: float) -> FidelityBand:
    """Return the band of the mean KLD, in nats."""
    return FIDELITY_BANDS[sum(kld > most for most in KLD_LIMITS)]


def classify_top1(equal: int, positions: int) -> FidelityBand:
    """Return the band of the share of positions with the same likeliest token."""
    share = equal / positions
    if positions < MIN_TOP1_POSITIONS and (interval := compute_wilson_interval(equal, positions)):
        share = interval[1]
    return FIDELITY_BANDS[sum(share < least for least in TOP1_LIMITS)]


def choose_worse(*bands: FidelityBand) -> FidelityBand:
    """Return the worst of some bands."""
    return max(bands, key=FIDELITY_BANDS.index)


def classify_cosines(pooled: float | None, tokens: float) -> FidelityBand:
    """Return the band of an encoder's lower mean cosine; `pooled` is None without pooling."""
    worse = tokens if pooled is None else min(pooled, tokens)
    return FIDELITY_BANDS[sum(worse < least for least in COSINE_LIMITS)]


def classify_embeddings(rank: float, head: float | None) -> FidelityBand:
    """Return the band of an encoder by the rank correlation of the similarities of its sentences.

    Of a model with a head the mean cosine of its output counts as well, where that is worse.
    """
    by_rank = sum(rank < least for least in SIMILARITY_LIMITS)
    by_head = 0 if head is None else sum(head < least for least in COSINE_LIMITS)
    return FIDELITY_BANDS[max(by_rank, by_head)]


def compute_floor(repeated: float | None) -> float:
    """Return the mean KLD below which none is reported: `repeated`, but at least 1e-6.

    `repeated` is the mean KLD of a second pass of the reference against its first.
    """
    return max(MIN_FLOOR, repeated or 0.0)


def compute_wilson_interval(successes: int, n: int) -> Interval | None:
    """Return the 95 % score interval of a share (Wilson 1927), or None if `n` is 0."""
    if n <= 0:
        return None
    share, z2 = successes / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
