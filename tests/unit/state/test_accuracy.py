"""The accuracy of a cell beside its reference: pairs, verdicts, changed items, badges."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from support.ui_events import header
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.tuning import explain_below_accuracy
from txtop.export import csv
from txtop.export.html.page import render_page
from txtop.export.json import build_export
from txtop.export.markdown import to_markdown
from txtop.export.text.accuracy import build_rows, list_remarks
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.plan.task import TaskKind, TaskSpec
from txtop.plan.tuning import Tuning
from txtop.protocol import events
from txtop.state import accuracy, pending_work, quality
from txtop.state.fold import fold, fold_all
from txtop.state.quality_cost import build_quality_cost
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot

CELLS = tuple(
    Cell(id=name, model="gpt2", precision=p) for name, p in (("a", "fp32"), ("b", "int8"))
)


def a_task(items: int, kind: TaskKind = "choice") -> TaskSpec:
    return TaskSpec(name="quiz", path="/quiz.jsonl", kind=kind, items=items, sha256="5" * 64)


def questions(items: int, targets: Sequence[float] = ()) -> events.TaskQuestions:
    return events.TaskQuestions(
        t_ns=0,
        task="quiz",
        first=0,
        lines=list(range(1, items + 1)),
        asked=[f"question {n}" for n in range(items)],
        right=[f"yes {n}" for n in range(items)],
        targets=list(targets),
    )


def answers(cell: str, scores: Sequence[float], first: int = 0) -> events.TaskAnswers:
    texts = ["yes" if score else "no" for score in scores]
    return events.TaskAnswers(
        t_ns=1, cell=cell, task="quiz", first=first, scores=list(scores), answers=texts
    )


def answered(cell: str, **facts: object) -> events.TaskAnswered:
    return events.TaskAnswered(t_ns=2, cell=cell, task="quiz", **facts)  # type: ignore[arg-type]


def answer_all(
    base: Sequence[float], own: Sequence[float], *, margin: float | None = None
) -> SessionState:
    plan = Plan(cells=CELLS, tasks=(a_task(len(base)),), margin=margin)
    return fold_all(
        [
            header(plan), questions(len(base)), answers("a", base), answered("a"),
            answers("b", own), answered("b"),
        ]
    )  # fmt: skip


def test_the_difference_is_paired_by_item() -> None:
    state = answer_all([1, 1, 0, 1] * 50, [1, 0, 0, 1] * 25 + [1, 1, 1, 1] * 25)
    (difference,) = accuracy.list_differences(state, "b")
    assert (difference.reference, difference.cell, difference.n) == ("a", "b", 200)
    assert (difference.gained, difference.lost) == (25, 25)
    assert difference.difference == 0
    assert difference.interval is not None
    assert difference.interval[0] < 0 < difference.interval[1]
    assert difference.needed is not None and difference.needed > 200
    assert accuracy.list_differences(state, "a") == []
    changed = accuracy.list_changed_items(state, difference)
    assert [item.gained for item in changed] == [False] * 25 + [True] * 25
    first = changed[0]
    assert (first.line, first.asked, first.reference_answer, first.answer) == (
        2, "question 1", "yes", "no",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "gained", "band", "mark"),
    [
        (0, 0, "no worse", "✓"),
        (10, 8, "undecided", "≈"),
        (20, 2, "loss", "▲"),
        (300, 0, "worse", "✗"),
    ],
)
def test_the_badge_is_the_interval_of_the_task(
    lost: int, gained: int, band: str, mark: str
) -> None:
    n = 1000
    base = [1.0] * (n - gained) + [0.0] * gained
    own = [0.0] * lost + [1.0] * (n - lost)
    state = answer_all(base, own)
    own_quality = quality.get_quality(state, "b")
    assert own_quality.badge == band
    longest, shortest = own_quality.forms
    assert shortest.startswith(mark) and shortest.endswith("pt") and "[" in longest
    cost = build_quality_cost(own_quality)
    assert cost.spoils == (band in ("loss", "worse"))
    assert "quiz" in cost.figures[0]
    # The verdict of a table and of the log is the same.
    assert any(shortest.split(" ", 1)[1] in line.text for line in state.log)
    # How many items would decide is said until they have decided.
    (difference,) = accuracy.list_differences(state, "b")
    decided = band in ("no worse", "worse")
    assert difference.needed and (build_rows(state)[-1][-2] == "—") == decided
    assert ("items decide" in accuracy.describe_difference(difference)) == (not decided)


def test_half_answered_is_compared_as_far_as_it_goes() -> None:
    plan = Plan(cells=CELLS, tasks=(a_task(4),))
    state = fold_all([header(plan), questions(4), answers("a", [1, 1, 1, 1]), answered("a")])
    assert accuracy.list_differences(state, "b") == []
    fold(state, answers("b", [1]))
    before = take_snapshot(state)
    fold(state, answers("b", [0], first=1))
    # Out of order: lost events are no answers.
    fold(state, answers("b", [0], first=3))
    (difference,) = accuracy.list_differences(state, "b")
    assert (difference.n, difference.lost) == (2, 1)
    (earlier,) = accuracy.list_differences(restore_snapshot(before, state), "b")
    assert (earlier.n, earlier.lost) == (1, 0)
    # A worker that begins again replaces what it had answered.
    fold(state, answers("b", [1]))
    assert accuracy.list_differences(state, "b")[0].n == 1


def test_what_a_stopped_run_did_not_answer_is_named() -> None:
    tasks = (a_task(4), *(msgspec.structs.replace(a_task(4), name=n) for n in ("more", "last")))
    begun = [
        header(Plan(cells=CELLS, tasks=tasks, margin=0.02)), questions(4), answers("a", [1] * 4),
        answered("a"), answers("b", [1]),
        events.TaskAnswered(t_ns=2, cell="a", task="last", failed="no room", may_pass=True),
    ]  # fmt: skip
    lines = list_remarks(fold_all(begun))
    assert lines[-3:] == [
        "last, A: no room", "quiz, B: 1 of 4 answered", "not asked: more (A, B); last (B)",
    ]  # fmt: skip
    assert list_remarks(answer_all([1] * 9, [1] * 9, margin=0.02)) == [
        "points against A; margin 1 pt"
    ]


def test_pairs_of_sentences_have_the_difference_of_correlations() -> None:
    targets = [float(n % 6) for n in range(60)]
    plan = Plan(cells=CELLS, tasks=(a_task(60, "pairs"),))
    worse = [t / 6 if n % 2 else 0.3 + n / 600 for n, t in enumerate(targets)]
    state = fold_all(
        [
            header(plan), questions(60, targets), answers("a", [t / 6 for t in targets]),
            answers("b", worse), answered("a"), answered("b"),
        ]
    )  # fmt: skip
    (difference,) = accuracy.list_differences(state, "b")
    assert difference.reference_score == pytest.approx(1)
    assert difference.interval is not None and difference.interval[1] < 0
    assert difference.needed is None
    assert "Spearman 1.000" in accuracy.describe_score(state, "a", plan.tasks[0])


def answer_pairs(
    targets: Sequence[float], base: Sequence[float], own: Sequence[float], plan: Plan | None = None
) -> SessionState:
    n = len(targets)
    return fold_all(
        [
            header(plan or Plan(cells=CELLS, tasks=(a_task(n, "pairs"),))), questions(n, targets),
            answers("a", base), answered("a"), answers("b", own), answered("b"),
        ]
    )  # fmt: skip


RANKS = [float(place) for place in range(17)]
CONSTANT = [0.5] * 17
WHOSE = {"b": "similarities", "a": "similarities of the reference", "": "scores"}


@pytest.mark.parametrize("constant", ["a", "b", ""])
@pytest.mark.filterwarnings("error")
def test_a_correlation_that_does_not_exist_is_no_number_and_no_verdict(constant: str) -> None:
    sides = (CONSTANT if name == constant else RANKS for name in ("", "a", "b"))
    state = answer_pairs(*sides)
    (difference,) = accuracy.list_differences(state, "b")
    assert difference.difference is None and difference.interval is None
    assert (difference.reference_score is None) == (constant != "b")
    assert (difference.score is None) == (constant != "a")
    assert difference.band is None and quality.get_quality(state, "b").badge == "unmeasured"
    reason = f"no correlation: all {WHOSE[constant]} are equal"
    score = "1.000" if constant == "a" else "—"
    assert state.log[-1].text.endswith(f"quiz Spearman {score}, 17 items: {reason}")
    *_, row = build_rows(state)
    assert row[2:] == [score, "—", "—", "—", "—", "17", "—", f"— {reason}"]
    export = build_export(state, FinalMetrics()).cells[1].accuracy[0]
    assert export.accuracy == (1 if constant == "a" else None)
    assert export.reference_accuracy == (1 if constant == "b" else None)
    assert (export.difference, export.ci95, export.verdict) == (None, None, None)
    assert (export.deciding_items, export.reason) == (None, reason)
    ends = csv.build_rows(state, FinalMetrics())[1]
    assert ends["accuracy_quiz_difference"] is None and ends["accuracy_quiz_ci95_lo"] is None
    for text in (to_markdown(state, FinalMetrics()), render_page(state, FinalMetrics())):
        assert reason.encode() in text and b"[nan" not in text
        assert b"the interval of this n alone" in text


def test_equal_ranks_are_no_verdict_and_leave_the_badge_to_the_outputs() -> None:
    state = answer_pairs(RANKS, RANKS, RANKS)
    (difference,) = accuracy.list_differences(state, "b")
    assert (difference.difference, difference.interval, difference.band) == (0, None, None)
    assert quality.get_quality(state, "b").badge == "unmeasured"
    assert build_rows(state)[1][3:] == [
        "0.0", "—", "—", "—", "17", "—", "— too few ranks differ for an interval",
    ]  # fmt: skip
    assert "0.0 pt, 17 pairs: too few ranks differ" in state.log[-1].text


def test_pairs_whose_scores_were_lost_from_the_log_are_not_counted() -> None:
    state = answer_pairs(RANKS, RANKS, RANKS[::-1])
    state.questions.clear()
    assert accuracy.list_differences(state, "b") == []


def test_one_item_is_no_items() -> None:
    state = answer_all([1], [1])
    assert any("quiz 100.0 %, 1 item:" in line.text for line in state.log)


def test_an_arm_is_held_against_the_other_whichever_is_more_precise() -> None:
    state = answer_all([1, 1, 1, 1], [1, 0, 1, 1], margin=0.02)
    (difference,) = accuracy.list_differences(state, "b", "a")
    assert (difference.reference, difference.lost, difference.gained) == ("a", 1, 0)
    (difference,) = accuracy.list_differences(state, "a", "b")
    assert (difference.reference, difference.lost, difference.gained) == ("b", 0, 1)


def test_the_log_holds_an_arm_against_a_though_it_is_more_precise() -> None:
    plan = Plan(cells=(CELLS[1], CELLS[0]), tasks=(a_task(4),), margin=0.02)
    state = fold_all([header(plan), questions(4)])
    due = [cell.id for cell, _ in pending_work.find_pending_answers(state)]
    assert due == ["b", "a"]
    scores = {"b": [1, 0, 0, 0], "a": [1, 1, 1, 0]}
    lines = []
    for name in due:
        fold(state, answers(name, scores[name]))
        fold(state, answered(name))
        lines.append(state.log[-1].text)
    assert lines[0].endswith("quiz 25.0 %, 4 items")
    assert "+50.0 pt" in lines[1] and "2 gained, 0 lost of 4" in lines[1]


def test_nan_comes_before_any_task() -> None:
    state = answer_all([1, 1], [1, 1])
    fold(state, events.Fidelity(t_ns=3, cell="b", reference="a", invalid=3))
    assert quality.get_quality(state, "b").badge == "INVALID"


@pytest.mark.parametrize(
    ("kld", "lost", "n", "badge"),
    [
        # Four items decide nothing, and hide no broken output.
        (1.2, 1, 4, "broken"),
        (0.05, 0, 4, "visible"),
        (0.005, 1, 4, "undecided"),
        # What a task decides stands, for better or worse.
        (0.05, 0, 2000, "no worse"),
        (0.0, 600, 2000, "worse"),
    ],
)
def test_a_task_that_decides_nothing_hides_no_broken_output(
    kld: float, lost: int, n: int, badge: str
) -> None:
    state = answer_all([1.0] * n, [0.0] * lost + [1.0] * (n - lost))
    fold(state, events.Fidelity(
        t_ns=3, cell="b", reference="a", weights="pretrained", positions=2000, top1=1990, kld=kld,
    ))  # fmt: skip
    own_quality = quality.get_quality(state, "b")
    assert own_quality.badge == badge
    if badge in ("visible", "broken"):
        assert own_quality.forms[0].startswith(("✗ broken", "▲ visible"))


@pytest.mark.parametrize(
    ("right", "chances", "reached", "lost", "badge"),
    [
        # One class, which a model that always names it answers as well.
        (["a"], [], 1.0, 0, "minor"),
        # A guess among four reaches as much.
        (["a", "b", "c", "d"], [0.25], 0.26, 0, "minor"),
        # Twice that is above chance, and a loss is one wherever the reference is.
        (["a", "b", "c", "d"], [0.25], 0.5, 0, "no worse"),
        (["a"], [], 1.0, 400, "worse"),
    ],
)
def test_a_task_at_chance_leaves_the_badge_to_the_outputs(
    right: list[str], chances: list[float], reached: float, lost: int, badge: str
) -> None:
    n = 2000
    base = [float(i < reached * n) for i in range(n)]
    own = [0.0] * lost + base[lost:]
    asked = questions(n)
    asked.right, asked.chances = (right * n)[:n], (chances * n)[:n]
    state = fold_all(
        [
            header(Plan(cells=CELLS, tasks=(a_task(n),))), asked, answers("a", base), answered("a"),
            answers("b", own), answered("b"),
            events.Fidelity(
                t_ns=3, cell="b", reference="a", weights="pretrained", positions=2000, top1=1990,
                kld=0.005,
            ),
        ]
    )  # fmt: skip
    assert quality.get_quality(state, "b").badge == badge
    remarks = [line for line in list_remarks(state) if "chance" in line]
    level = "100.0 %" if len(right) == 1 else "25.0 %"
    expected = [f"quiz, fp32: not above chance, {level}: no badge of a cell"]
    assert remarks == (expected if badge == "minor" else [])


def test_a_correlation_at_chance_leaves_the_badge_to_the_outputs() -> None:
    targets = [float(n % 6) for n in range(60)]
    noise = [float(n * 7919 % 61) for n in range(60)]
    other = [float(n * 104729 % 59) for n in range(60)]
    state = answer_pairs(targets, noise, other)
    (difference,) = accuracy.list_differences(state, "b")
    assert not difference.is_telling and quality.get_quality(state, "b").badge == "unmeasured"
    (difference,) = accuracy.list_differences(answer_pairs(targets, targets, noise), "b")
    assert difference.is_telling


def test_a_correlation_of_few_pairs_is_no_badge() -> None:
    plan = Plan(cells=CELLS, tasks=(a_task(3, "pairs"),))
    state = fold_all(
        [
            header(plan), questions(3, [1.0, 1.0, 1.0]), answers("a", [1, 1, 1]), answered("a"),
            answers("b", [1, 0.5, 1]), answered("b"),
        ]
    )  # fmt: skip
    assert quality.get_quality(state, "b").badge == "unmeasured"


def test_a_task_that_nobody_answered_is_named() -> None:
    plan = Plan(cells=CELLS, tasks=(a_task(4),))
    state = fold_all([header(plan), questions(4), answered("a", failed="no head")])
    assert accuracy.find_unanswered_tasks(state) == ["quiz"]
    fold(state, answers("b", [1]))
    assert accuracy.find_unanswered_tasks(state) == []


def test_a_task_is_due_once_for_each_output_and_that_of_a_first() -> None:
    twin = Cell(id="c", model="gpt2", precision="int8", batch_size=8)
    plan = Plan(cells=(CELLS[1], twin, CELLS[0]), tasks=(a_task(2),), margin=0.02)
    state = fold_all([header(plan)])
    due = [(cell.id, task.name) for cell, task in pending_work.find_pending_answers(state)]
    assert due == [("b", "quiz"), ("a", "quiz")]
    fold(state, answered("a"))
    fold(state, answered("b", failed="no file", may_pass=True))
    assert [cell.id for cell, _ in pending_work.find_pending_answers(state)] == ["b"]
    assert any("quiz not answered: no file" in line.text for line in state.log)


def test_points_read_as_people_write_them() -> None:
    assert accuracy.format_points(-0.0132) == "−1.3 pt"
    assert accuracy.format_points(0.004) == "+0.4 pt"
    assert accuracy.format_points(-0.0001) == "0.0 pt"
    assert accuracy.format_points_interval((-0.02, 0.0)) == "[−2.0, 0.0]"


def race(least: float | None = -0.01) -> Plan:
    tuning = Tuning(default="a", min_accuracy=least)
    return Plan(cells=CELLS, tasks=(a_task(200),), tuning=tuning)


@pytest.mark.parametrize(
    ("lost", "least", "named"),
    [(1, -0.01, True), (3, -0.01, False), (3, -0.02, True), (3, None, True)],
)
def test_a_candidate_that_loses_more_than_is_allowed_is_below_the_floor(
    lost: int, least: float | None, named: bool
) -> None:
    own = [0.0] * lost + [1.0] * (200 - lost)
    made = [header(race(least)), questions(200), answers("a", [1.0] * 200), answers("b", own)]
    state = fold_all(made)
    why = explain_below_accuracy(state, "b")
    assert (why == "") == named and explain_below_accuracy(state, "a") == ""
    assert named or "−1.5 pt [" in why


def test_a_candidate_without_a_correlation_is_below_the_floor() -> None:
    tuning = Tuning(default="a", min_accuracy=-0.01)
    plan = Plan(cells=CELLS, tasks=(a_task(17, "pairs"),), tuning=tuning)
    state = answer_pairs(RANKS, RANKS, CONSTANT, plan)
    assert "quiz: no correlation" in explain_below_accuracy(state, "b")
    # Against a reference without one nothing can be said.
    assert explain_below_accuracy(answer_pairs(RANKS, CONSTANT, RANKS, plan), "b") == ""


def test_candidates_of_a_race_answer_before_it_and_who_left_is_not_asked() -> None:
    state = fold_all([header(race())])
    assert [cell.id for cell, _ in pending_work.find_pending_answers(state)] == ["a", "b"]
    # The most precise one is what others are held against, in the race or not.
    for name, left in (("b", ["a"]), ("a", ["a"])):
        fold(
            state, events.CellRejected(t_ns=3, cell=name, reason="its output is ✗ broken", hint="")
        )
        assert [cell.id for cell, _ in pending_work.find_pending_answers(state)] == left
