"""The verdict of an A/B in words, for the screen and the report alike.

The colours, and what else stands beside the words, are those of their pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.state.ab import ABTest
from txtop.stats.sequential import Look, SequentialVerdict


@dataclass(frozen=True)
class VerdictWording:
    """The wording of one look at a comparison that has an interval.

    `winner` is the letter of the faster arm, empty for none, and `ratio` is how many times as fast
    it is as the other; without a winner, the later arm as the first. `claims` are forms of the
    verdict, longest first; `contradicts` is True where its results contradict each other.
    """

    winner: str
    ratio: float
    claims: tuple[str, ...]
    interval: str
    contradicts: bool = False


def word_verdict(
    ab_test: ABTest, name: str, look: Look, verdict: SequentialVerdict | None
) -> VerdictWording:
    """Word one look at the comparison of arm `name`, given the verdict at that look.

    Raises `ValueError` for a look without an interval.
    """
    if look.interval is None:
        raise ValueError("a look without an interval has no verdict")
    a, b = ab_test.letter(ab_test.first.id), ab_test.letter(name)
    low, high = look.interval
    if verdict == "slower":
        interval = formatting.format_ratio_interval(1 / high, 1 / low)
        return VerdictWording(a, 1 / look.ratio, (f"{a} is faster",), interval)
    interval = formatting.format_ratio_interval(low, high)
    if verdict == "equivalent":
        margin = f"{ab_test.margin * 100:.3g} %"
        claims = f"{b} is as fast as {a} within {margin}", f"same within ±{margin}"
        return VerdictWording("", look.ratio, claims, interval)
    if verdict == "faster":
        return VerdictWording(b, look.ratio, (f"{b} is faster",), interval)
    if verdict == "inconclusive":
        contradicts = low > high
        why = ("inconclusive: the results contradict each other",) if contradicts else ()
        return VerdictWording("", look.ratio, (*why, "inconclusive"), interval, contradicts)
    goal = ab_test.describe_goal(look.n)
    claims = f"no verdict yet: {ab_test.unit} {look.n}{goal}", "measuring"
    return VerdictWording("", look.ratio, claims, interval)


def format_with_confidence(wording: VerdictWording, gap: str = " ") -> str:
    """Format the interval with its confidence: `[1.75, 2.10] 95 %`."""
    return f"{wording.interval}{gap}{formatting.format_share(0.95)}"
