"""The accuracy of two sessions, item by item, as a gate with an exit code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pytest

from support.ui_events import header
from txtop.analysis.compare import add_accuracy, compare_sessions
from txtop.analysis.compare_accuracy import compare_accuracy
from txtop.export import comparison
from txtop.export.text.accuracy import build_rows
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.plan.task import TaskSpec
from txtop.protocol import events
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

CELL = Cell(id="a", model="gpt2", precision="int8")


def answer(
    scores: Sequence[float],
    order: Sequence[int],
    sha256: str = "5" * 64,
    targets: Sequence[float] = (),
) -> SessionState:
    """Return a session in which item `line` has the score `scores[line]`, asked in `order`.

    With `targets`, by line, the items are pairs.
    """
    n, kind = len(order), "pairs" if targets else "choice"
    task = TaskSpec(name="quiz", path="/q.jsonl", kind=kind, items=n, sha256=sha256)
    asked = [f"q{line}" for line in order]
    return fold_all(
        [
            header(Plan(cells=(CELL,), tasks=(task,))),
            events.TaskQuestions(
                t_ns=0, task="quiz", first=0, lines=list(order), asked=asked, right=["y"] * n,
                targets=[targets[line] for line in order] if targets else [],
            ),
            events.TaskAnswers(
                t_ns=1, cell="a", task="quiz", first=0, scores=[scores[i] for i in order],
                answers=["y"] * n,
            ),
        ]
    )  # fmt: skip


def compare(base: SessionState, new: SessionState, least: float = -0.01) -> list[str]:
    sides = [[(state, state.cells["a"])] for state in (base, new)]
    return [own.verdict for own in compare_accuracy("int8", sides[0], sides[1], least)]


def test_items_pair_up_by_their_line_whatever_the_order() -> None:
    scores = [float(n % 3 > 0) for n in range(400)]
    base, new = answer(scores, range(400)), answer(scores, range(399, -1, -1))
    assert compare(base, new) == ["no worse"]
    other = [1 - score if n < 3 else score for n, score in enumerate(scores)]
    assert compare(base, answer(other, range(400))) == ["undecided"]
    assert compare(base, answer(other, range(400)), -0.05) == ["no worse"]
    assert compare(base, answer([0.0] * 400, range(400))) == ["worse"]
    assert compare(base, answer(scores, range(400), "6" * 64)) == []


@pytest.mark.parametrize(
    ("outcome", "verdicts", "expected"),
    [
        ("no regression", ["no worse"], "no regression"),
        ("no regression", ["no worse", "undecided"], "inconclusive"),
        ("no regression", [], "inconclusive"),
        ("no regression", ["undecided", "worse"], "regression"),
        ("no regression", ["loss"], "inconclusive"),
        ("not comparable", ["no worse"], "not comparable"),
        ("regression", ["no worse"], "regression"),
    ],
)
def test_a_loss_is_a_regression(outcome: str, verdicts: list[str], expected: str) -> None:
    base = answer([1.0] * 300, range(300))
    sides = [[(base, base.cells["a"])]] * 2
    (own,) = compare_accuracy("int8", sides[0], sides[1], -0.05)
    import dataclasses

    answered = [dataclasses.replace(own, verdict=verdict) for verdict in verdicts]
    assert add_accuracy(outcome, answered) == expected


def test_pairs_read_as_show_writes_them() -> None:
    targets = [float(n % 6) for n in range(60)]
    worse = [n % 6 / 6 if n % 2 else 0.3 + n / 600 for n in range(60)]
    base, new = (answer(scores, range(60), targets=targets) for scores in (targets, worse))
    (row,) = map(comparison.build_accuracy_row, compare_sessions([base], [new], 0.03).accuracy)
    (beside,) = build_rows(new)
    assert row[2:4] == ["1.000", beside[2]] and row[6:8] == ["—", "—"]
    for render in (comparison.render_text, comparison.render_markdown):
        assert "interval of this n alone" in render(compare_sessions([base], [new], 0.03))


@pytest.mark.parametrize("kind", ["choice", "pairs"])
def test_answers_that_are_all_equal_are_no_loss_from_the_rule_of_three_on(kind: str) -> None:
    for n, verdict, remark in (
        (298, "undecided", f"about 299 {'pairs' if kind == 'pairs' else 'items'} decide 1 pt"),
        (299, "no worse", ""),
    ):
        scores = [float(place % 7 > 2) + (kind == "pairs") * place / n for place in range(n)]
        targets = [float(place % 6) for place in range(n)] if kind == "pairs" else ()
        same = answer(scores, range(n), targets=targets)
        compared = compare_sessions([same], [same], 0.03, -0.01)
        (own,) = compared.accuracy
        assert "of this n alone" in comparison.render_text(compared)
        assert (own.verdict, own.reason, own.difference) == (verdict, remark, 0)
        assert own.ci95 == pytest.approx((-3 / n, 3 / n), rel=0.01)


def test_the_items_that_would_decide_are_named_as_show_does() -> None:
    scores = [float(n % 3 > 0) for n in range(400)]
    changed = [1 - score if n < 3 else score for n, score in enumerate(scores)]
    sides = [answer(scored, range(400)) for scored in (scores, changed)]
    gated = compare_sessions([sides[0]], [sides[1]], 0.03, -0.01)
    (row,) = map(comparison.build_accuracy_row, gated.accuracy)
    assert re.fullmatch(r"≈ undecided: about [0-9],[0-9]{3} items decide 1 pt", row[-1])


@pytest.mark.filterwarnings("error")
def test_a_correlation_that_does_not_exist_is_undecided() -> None:
    ranks = [float(n) for n in range(17)]
    base, new = (answer(scores, range(17), targets=ranks) for scores in (ranks, [0.5] * 17))
    gated = compare_sessions([base], [new], 0.03, -0.01)
    (row,) = map(comparison.build_accuracy_row, gated.accuracy)
    reason = "no correlation: all similarities are equal"
    assert row[2:] == ["1.000", "—", "—", "—", "—", "—", "17", f"≈ undecided: {reason}"]
    (plain,) = msgspec.json.decode(comparison.render_json(gated))["accuracy"]
    assert [plain[key] for key in ("base", "new", "difference", "ci95")] == [1, None, None, None]
    assert (gated.exit_code, plain["gained"], plain["reason"]) == (3, None, reason)


def test_the_gate_decides_the_exit_code_and_stands_in_every_format() -> None:
    base, new = answer([1.0] * 300, range(300)), answer([0.0] * 300, range(300))
    assert compare_sessions([base], [new], 0.03).exit_code == 3
    gated = compare_sessions([base], [new], 0.03, -0.01)
    assert gated.exit_code == 1
    text = comparison.render_text(gated)
    assert "−100.0" in text and "accuracy at least −1.0 pt" in text
    assert "quiz" in comparison.render_markdown(gated)
    plain = msgspec.json.decode(comparison.render_json(gated))
    assert plain["accuracy"][0]["verdict"] == "worse" and plain["min_accuracy"] == -0.01
