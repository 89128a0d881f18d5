"""The headline of an A/B as a sentence that carries its cost, in the words of the screen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txtop import formatting
from txtop.state.ab import ABTest
from txtop.state.quality_cost import NO_COST, QualityCost, build_quality_cost
from txtop.state.session import SessionState
from txtop.stats.sequential import Look, SequentialVerdict


@dataclass(frozen=True)
class Headline:
    """The verdict on one arm: `value`, empty without a ratio to claim, and a sentence beside it.

    `remark` ends the sentence in the colour `remark_role`; `facts` are the lines below. `role` is
    the colour of the value: `a` or `b` for a winner, `muted` for an open or a spoilt one, `text`
    for no difference, `bad` for an arm that could not be measured.
    """

    value: str
    role: str
    sentence: str
    remark: str = ""
    remark_role: str = "text"
    facts: tuple[str, ...] = ()


def build_headline(state: SessionState, ab_test: ABTest, name: str) -> Headline:
    """Build the headline of the comparison of arm `name` with the first arm."""
    if why := ab_test.explain_no_verdict(name):
        sentence = f"{ab_test.letter(name)} has no verdict: {why}"
        return Headline("", "bad", sentence, facts=("no speed is claimed",))
    verdict = ab_test.verdict(name, over=state.is_done)
    cost = build_quality_cost(state.output_of(name, ab_test.first.id))
    headline = word_look(ab_test, name, ab_test.look(name), verdict, cost)
    if not headline.facts:
        return headline
    interval, *figures = headline.facts
    trust = ab_test.surely.removeprefix("95 %, ")
    return replace(headline, facts=(f"{interval}, {trust}", *figures))


def word_look(
    ab_test: ABTest,
    name: str,
    look: Look,
    verdict: SequentialVerdict | None,
    cost: QualityCost = NO_COST,
) -> Headline:
    """Word one look at the comparison of arm `name`, given the verdict at that look.

    The cost counts where the arm is at least as fast.
    """
    a, b = ab_test.letter(ab_test.first.id), ab_test.letter(name)
    if look.interval is None:
        return Headline("", "muted", f"{b} against {a}: block {look.n} of {ab_test.first_look}")
    low, high = look.interval
    value, ends = formatting.format_ratio(look.ratio), f"[{low:.2f}, {high:.2f}] 95 %"
    if verdict == "slower":
        ends = f"[{1 / high:.2f}, {1 / low:.2f}] 95 %"
        value = formatting.format_ratio(1 / look.ratio)
        return Headline(value, "a", f"{a} is faster", facts=(ends,))
    if verdict in ("faster", "equivalent"):
        won = verdict == "faster"
        sentence = f"{b} is faster" if won else _word_no_difference(ab_test, b, a)
        if not won:
            ends = f"[{low:.3f}, {high:.3f}] 95 %"
        remark = cost.remarks[0] if cost.remarks else ""
        return Headline(
            value,
            "muted" if cost.spoils else "b" if won else "text",
            f"{sentence}," if remark else sentence,
            remark,
            cost.role.partition(".")[0],
            (ends, *cost.figures[:1]),
        )
    if verdict == "inconclusive":
        contradict = "inconclusive: the results contradict each other"
        return Headline(value, "muted", contradict if low > high else "inconclusive", facts=(ends,))
    at_least = f" of at least {ab_test.first_look}" if look.n < ab_test.first_look else ""
    return Headline(value, "muted", f"no verdict yet: block {look.n}{at_least}", facts=(ends,))


def _word_no_difference(ab_test: ABTest, b: str, a: str) -> str:
    return f"{b} is as fast as {a} within {ab_test.margin * 100:.3g} %"
