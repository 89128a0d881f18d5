"""The headline of an A/B as a sentence that carries its cost, in the words of the screen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txtop import formatting
from txtop.state import quality
from txtop.state.ab import ABTest
from txtop.state.ab_wording import format_with_confidence, word_verdict
from txtop.state.quality_cost import QualityCost, build_quality_cost
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
    cost = build_quality_cost(quality.get_quality(state, name, ab_test.first.id))
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
    cost: QualityCost,
) -> Headline:
    """Word one look at the comparison of arm `name`, given the verdict at that look.

    The cost counts where the arm is at least as fast.
    """
    a, b = ab_test.letter(ab_test.first.id), ab_test.letter(name)
    if look.interval is None:
        sentence = f"{b} against {a}: {ab_test.unit} {look.n}{ab_test.describe_goal(look.n)}"
        return Headline("", "muted", sentence)
    wording = word_verdict(ab_test, name, look, verdict)
    value, ends = formatting.format_ratio(wording.ratio), format_with_confidence(wording)
    sentence = wording.claims[0]
    if verdict in ("faster", "equivalent"):
        remark = cost.remarks[0] if cost.remarks else ""
        return Headline(
            value,
            "muted" if cost.spoils else "b" if wording.winner else "text",
            f"{sentence}," if remark else sentence,
            remark,
            cost.role.partition(".")[0],
            (ends, *cost.figures[:1]),
        )
    return Headline(value, "a" if wording.winner else "muted", sentence, facts=(ends,))
