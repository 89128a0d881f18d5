"""Judge the overhead from pairs of starts.

Apart from the arms, so that tests can judge simulated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from txtop.formatting import format_share
from txtop.stats.paired import PairedRatio, compute_paired_ratio
from txtop.stats.summary import compute_percentile
from txtop.units import NS_PER_MS

MEAN_BOUNDS = (0.99, 1.01)
P99_BOUND = 1.05

OverheadOutcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class ArmTiming:
    """The timing of one arm of one pair, in ms: mean and p99 of the gaps between tokens.

    The time to the first token is no gap.
    """

    tpot_ms: float
    p99_ms: float


def compute_arm_timing(gaps_ns: Sequence[int]) -> ArmTiming:
    """Compute the timing of one arm from its gaps in ns.

    Over calls of one length the mean gap is TPOT, (E2E - TTFT) / (OSL - 1).
    """
    ordered = sorted(gaps_ns)
    return ArmTiming(fmean(ordered) / NS_PER_MS, compute_percentile(ordered, 99) / NS_PER_MS)


@dataclass(frozen=True)
class TimingPair:
    """The timing of the same work in two processes that were started together and took turns."""

    bare: ArmTiming
    watched: ArmTiming

    def format_line(self, number: int) -> str:
        """Format the pair's timing for a person."""
        mean = self.watched.tpot_ms / self.bare.tpot_ms
        p99 = self.watched.p99_ms / self.bare.p99_ms
        return (
            f"start {number:>2}  TPOT bare {self.bare.tpot_ms:.3f} ms,"
            f" watched {self.watched.tpot_ms:.3f} ms, ratio {mean:.3f}"
            f"   p99 {self.bare.p99_ms:.2f} ms, {self.watched.p99_ms:.2f} ms, ratio {p99:.3f}"
        )


@dataclass(frozen=True)
class OverheadResult:
    """The result of all pairs. Both ratios are watched over bare."""

    pairs: tuple[TimingPair, ...]
    mean: PairedRatio
    p99: PairedRatio
    half_width: float

    @property
    def precise(self) -> bool:
        """True if the interval of the mean ratio is as narrow as was asked for."""
        return self.mean.half_width <= self.half_width

    @property
    def beyond(self) -> bool:
        """True if the mean ratio's interval is wholly out of bounds: more pairs cannot help."""
        return self.mean.ci95[0] > MEAN_BOUNDS[1] or self.mean.ci95[1] < MEAN_BOUNDS[0]

    @property
    def outcome(self) -> OverheadOutcome:
        """The verdict: to fail needs evidence, to pass a narrow interval; else inconclusive."""
        if self.beyond:
            return "fail"
        if not self.precise:
            return "inconclusive"
        within = MEAN_BOUNDS[0] <= self.mean.ratio <= MEAN_BOUNDS[1]
        return "pass" if within and self.p99.ci95[0] <= P99_BOUND else "fail"

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"

    @property
    def exit_code(self) -> int:
        """The exit code: 0 pass, 1 fail, 3 inconclusive."""
        return {"pass": 0, "fail": 1, "inconclusive": 3}[self.outcome]

    def format_lines(self) -> list[str]:
        """Format the two ratios and the verdict for a person."""
        bounds = f"{MEAN_BOUNDS[0]:.2f} to {MEAN_BOUNDS[1]:.2f}"
        explanations = {
            "pass": f"mean ratio within {bounds}, p99 reaches down to {P99_BOUND:.2f} or less",
            "fail": f"wanted: mean ratio within {bounds}, p99 down to {P99_BOUND:.2f} or less",
            "inconclusive": f"the half-width is over {format_share(self.half_width, 1)} after "
            f"{len(self.pairs)} starts: a calmer machine is needed",
        }
        return [
            f"mean TPOT  watched / bare {_format_ratio(self.mean)}, half-width"
            f" {format_share(self.mean.half_width, 1)}, {len(self.pairs)} starts of both",
            f"p99 gap    watched / bare {_format_ratio(self.p99)}",
            f"{self.outcome}: {explanations[self.outcome]}",
        ]


def _format_ratio(ratio: PairedRatio) -> str:
    low, high = ratio.ci95
    return f"{ratio.ratio:.3f}, 95 % interval {low:.3f} to {high:.3f}"


def judge_pairs(pairs: Sequence[TimingPair], half_width: float) -> OverheadResult:
    """Judge the pairs measured so far.

    `precise` and `beyond`, at which the caller stops, depend on the interval's width or on an
    interval wholly out of bounds, never on how near to 1 the ratio is: that would let chance choose
    the moment.

    Raises:
        ValueError: there are fewer than two pairs.
    """
    mean = compute_paired_ratio([p.watched.tpot_ms for p in pairs], [p.bare.tpot_ms for p in pairs])
    p99 = compute_paired_ratio([p.watched.p99_ms for p in pairs], [p.bare.p99_ms for p in pairs])
    if mean is None or p99 is None:
        raise ValueError("a paired ratio needs at least two pairs")
    return OverheadResult(tuple(pairs), mean, p99, half_width)
