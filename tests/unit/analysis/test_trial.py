"""Advice that was tried: the interval alone decides, and what is useless is not shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support import ab_sessions, explanations
from txtop.analysis import findings
from txtop.analysis.finding_rules import Judgement, Rule
from txtop.analysis.trial import format_trial, list_helpful_changes
from txtop.export.text.ab import build_table, format_ab
from txtop.options.explain_options import build_try_plan
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def tried(second: float, third: float) -> SessionState:
    """Return an A/B of a cell and two changes, by the time of their requests in ms."""
    story = ab_sessions.script({"precision": "fp32"}, {"precision": "bf16"}, {"threads": 2})
    return measure(story, (second, third))


def measure(story: ab_sessions.Script, others_ms: Sequence[float]) -> SessionState:
    """Return the A/B of a cell whose requests take 30 ms, and of two changes of it."""
    second, third = others_ms
    story.fidelity().fidelity("C").begin()
    for i in range(30):
        off = 1 + 0.01 * ((i * 7919) % 11 - 5) / 5
        story.block((30.0, second * off, third / off))
    return fold_all(story.end())


def test_a_change_that_is_faster_is_shown_with_what_it_costs() -> None:
    helpful, count = list_helpful_changes(tried(15.0, 30.0))
    assert count == 2 and len(helpful) == 1
    (change,) = helpful
    assert change.ratio > 1.9 and change.interval[0] > 1 and "bf16" in change.label
    assert change.memory == 1 and change.load == 1 and change.output
    heading, line = format_trial(tried(15.0, 30.0))
    assert heading == "tried 2, faster here: 1" and "output" in line and "2.00x" in line


def test_a_larger_batch_is_faster_by_its_throughput_and_says_what_a_call_then_takes() -> None:
    story = ab_sessions.script({"batch_size": 1}, {"batch_size": 8}, {"threads": 2})
    _, batch, threads = format_trial(measure(story, (32.7, 15.0)))
    assert "batch 8: 7.34x the throughput [7." in batch and "]; a call takes 1.09x as" in batch
    assert "2 threads batch 1: 2.00x [" in threads and "call" not in threads


def test_the_printed_table_has_intervals_and_no_p_value() -> None:
    state = tried(15.0, 30.0)
    assert state.ab_test is not None
    heading, rows = build_table(state, state.ab_test)
    assert "p" not in [name for name, _ in heading]
    assert {len(row) for row in rows} == {len(heading)}


def test_how_far_outputs_of_random_weights_are_apart_is_not_printed() -> None:
    state = tried(15.0, 30.0)
    for result in state.fidelity.values():
        result.weights, result.kld, result.top1, result.positions = "pretrained", 0.1, 50, 60
    assert "top-1" in "\n".join(format_ab(state))
    for result in state.fidelity.values():
        result.weights = "random"
    lines = "\n".join(format_ab(state))
    assert "means nothing" in lines
    assert not any(figure in lines for figure in ("top-1", "KLD", "perplexity"))


def test_a_useless_change_and_a_slower_one_are_not_shown() -> None:
    assert list_helpful_changes(tried(30.0, 45.0)) == ([], 2)
    assert format_trial(tried(30.0, 45.0)) == ["tried 2: none is faster here"]


def test_a_change_that_is_as_near_as_two_processes_are_is_not_shown() -> None:
    heading, line = format_trial(tried(28.0, 26.0))
    assert heading == "tried 2, faster here: 1; 1 too slightly to tell from two equal processes"
    assert "2 threads: 1.15x" in line
    (heading,) = format_trial(tried(28.0, 30.0))
    assert heading.startswith("tried 2: none is faster here; 1 too slightly")


def test_the_fastest_stands_first_and_a_session_without_arms_has_no_trial() -> None:
    helpful, _ = list_helpful_changes(tried(20.0, 10.0))
    assert len(helpful) == 2 and helpful[0].ratio > helpful[1].ratio
    assert format_trial(SessionState()) == []


def test_a_trial_of_too_few_blocks_shows_no_change_and_calls_none_useless() -> None:
    story = ab_sessions.script({"precision": "fp32"}, {"precision": "bf16"}, {"threads": 2})
    story.fidelity().fidelity("C").begin()
    for _ in range(3):
        story.block((30.0, 15.0, 30.0))
    state = fold_all(story.end("cancelled"))
    assert format_trial(state) == ["tried 2: too few blocks to judge any"]


@pytest.mark.parametrize("useless_ms", [29.9, 30.0, 31.0])
def test_planted_advice_that_is_useless_is_tried_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, useless_ms: float
) -> None:
    rule = Rule(
        "planted", "a planted fault", "always",
        lambda facts: Judgement(
            facts.request_ns, "planted", ({"threads": 3}, {"precision": "bf16"})
        ),
    )  # fmt: skip
    monkeypatch.setattr(findings, "RULES", (rule,))
    explained = explanations.session()
    (own,) = explained.cells.values()
    advice = findings.iterate_changes(own.cell, findings.find_findings(explained, own))
    plan = build_try_plan(explained.plan, own.cell, advice, "random")
    assert plan is not None and [cell.threads for cell in plan.cells] == [None, 3, None]
    lines = "\n".join(format_trial(measure(ab_sessions.Script(plan), (useless_ms, 15.0))))
    assert "tried 2, faster here: 1" in lines
    assert "bf16" in lines and "3 threads" not in lines
