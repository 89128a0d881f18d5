"""The accuracy of tasks on the screen: in the table of cells, in the plot, in an A/B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from support import tradeoff_views
from support.ab_sessions import Script, script
from support.screen_text import lines
from txtop.plan.task import TaskSpec
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import BRAILLE
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.ab_arm import render_ab_arm
from txtop.ui.panels.ab_verdict import render_ab_verdict
from txtop.ui.panels.cells import render_cells
from txtop.ui.panels.tradeoffs.render import TradeoffsSelection, render_tradeoffs

ITEMS = 300
TASK = TaskSpec(name="facts", path="builtin:facts", kind="choice", items=ITEMS, sha256="5" * 64)
LOST = {"fp32": 0, "bf16": 0, "int8": 40}


def answers(cell: str, lost: int, count: int = ITEMS) -> events.TaskAnswers:
    scores = [0.0 if place < lost else 1.0 for place in range(count)]
    texts = ["yes" if score else "no" for score in scores]
    return events.TaskAnswers(
        t_ns=0, cell=cell, task="facts", first=0, scores=scores, answers=texts
    )


def asked() -> events.TaskQuestions:
    numbers = list(range(1, ITEMS + 1))
    texts = [f"question {number}" for number in numbers]
    return events.TaskQuestions(
        t_ns=0, task="facts", first=0, lines=numbers, asked=texts, right=texts
    )


def story(precisions: Sequence[str] = ("fp32", "bf16", "int8")) -> list[AnyEvent]:
    plan = tradeoff_views.a_plan(precisions=list(precisions))
    plan = msgspec.structs.replace(plan, tasks=(TASK,))
    stream = list(tradeoff_views.whole(plan))
    given: list[AnyEvent] = [asked()]
    for cell in plan.cells:
        given += [answers(cell.id, LOST[cell.precision])]
        given += [events.TaskAnswered(t_ns=0, cell=cell.id, task="facts")]
    stream[-1:-1] = given
    return stream


def view() -> View:
    return tradeoff_views.tried(story())


def test_the_table_has_the_points_beside_the_speed() -> None:
    by_precision = {row.precision: row for row in view().cells}
    assert by_precision["int8"].badges[-1] == "✗ −13.3 pt"
    assert by_precision["int8"].badges[0].startswith("✗ −13.3 pt accuracy [−20.5, ")
    assert by_precision["bf16"].badges[-1] == "≈ 0.0 pt"
    assert by_precision["bf16"].ratio


@pytest.mark.parametrize(("width", "note"), [(120, "✗ −13.3 pt"), (80, "✗ −13.3 pt")])
def test_a_badge_that_is_a_sign_or_a_number_has_its_word_in_the_heading(
    width: int, note: str
) -> None:
    rows = [replace(row, state="done") for row in view().cells]
    drawn = lines(render_cells(rows, None, Area(width, 8, BRAILLE, boxed=width > 100)))
    assert "✗ worse" in drawn[0] and "≈ undecided" in drawn[0] and "3 done" in drawn[0]
    assert any(f"x {note}" in line for line in drawn if "int8" in line)
    without = [replace(row, meaning="", badges=("✗ broken",)) for row in rows]
    heading = lines(render_cells(without, None, Area(width, 8, BRAILLE)))[0]
    assert "✗" not in heading


def test_with_all_the_room_each_figure_of_all_cells_has_bars_on_one_scale() -> None:
    for width, height in ((78, 22), (116, 38)):
        drawn = lines(render_cells(view().cells, None, Area(width, height, BRAILLE), bars=True))
        (at,) = (y for y, line in enumerate(drawn) if "TTFT ms, less is better" in line)
        bars = {line.split()[0]: line.count("━") for line in drawn[at + 1 : at + 4]}
        assert set(bars) == {"fp32", "bf16", "int8"} and max(bars.values()) >= 40
        assert ("tok/s, more is better" in "\n".join(drawn)) == (width < 100)
        few = lines(render_cells(view().cells, None, Area(width, 7, BRAILLE), bars=True))
        assert "better" not in "\n".join(few)


def test_the_plot_has_the_front_of_accuracy_and_throughput() -> None:
    plots = {plot.kind: plot for plot in view().tradeoffs.plots}
    plot = plots["accuracy"]
    points = {point.name: point for point in plot.points}
    assert [points[name].time for name in ("fp32", "bf16", "int8")] == ["0", "0.0", "−13.3"]
    # bf16 is as accurate as fp32 and faster, so that fp32 is not on the front.
    assert points["bf16"].front and not points["fp32"].front
    assert points["fp32"].said[1] == "beaten by bf16 (≈ 0.0 pt)"
    assert "points" in points["fp32"].said[0]
    everything = view().tradeoffs
    at = [p.kind for p in everything.plots].index("accuracy")
    for width, height in ((78, 20), (120, 36)):
        selection = TradeoffsSelection(everything, at, 0)
        text = "\n".join(lines(render_tradeoffs(selection, Area(width, height, BRAILLE))))
        assert "accuracy against throughput" in text and "margin" in text and "int8" in text


def test_a_session_without_a_task_has_no_such_plot() -> None:
    plain_view = tradeoff_views.tried(
        [event for event in story() if not isinstance(event, events.TaskAnswers)]
    )
    assert "accuracy" not in {plot.kind for plot in plain_view.tradeoffs.plots}


def test_a_cell_that_answers_says_how_far_it_is() -> None:
    stream = story()
    place = next(
        i for i, event in enumerate(stream)
        if isinstance(event, events.TaskAnswers) and event.cell == "c002"
    )  # fmt: skip
    before = [*stream[:place], answers("c002", 0, 120)]
    assert fold_all(before).answering == ("c002", "facts")
    row = next(row for row in tradeoff_views.tried(before).cells if row.id == "c002")
    assert row.note == "answering facts: 120 of 300"


def ab_with_task() -> Script:
    made = script(weights="pretrained")
    opening = made.made[0]
    assert isinstance(opening, events.SessionHeader)
    made.plan = opening.plan = msgspec.structs.replace(made.plan, tasks=(TASK,))
    return made


def test_an_ab_says_which_arm_answers_and_how_far_it_is() -> None:
    made = ab_with_task()
    made.fidelity(kld=0.0001, top1=2048)
    drawn = []
    for event in (
        asked(),
        answers("A", 0, 120),
        events.TaskAnswered(t_ns=0, cell="A", task="facts"),
        answers("B", 0, 60),
    ):
        made.made.append(event)
        ab_view = build_view(fold_all(made.made)).ab
        assert ab_view is not None
        verdict = render_ab_verdict(ab_view, Area(80, 9, BRAILLE))
        arms = [render_ab_arm(ab_view, side, Area(40, 9, BRAILLE)) for side in (0, 1)]
        drawn.append(["\n".join(lines(rows)) for rows in (verdict, *arms)])
    loads, first, between, second = drawn
    assert "answering tasks" in loads[0] and "answering tasks" in between[0]
    assert "answering facts" in first[0] and "A: 120 of 300" in first[0]
    assert "answering" in first[1] and "answering" not in first[2]
    assert "B: 60 of 300" in second[0] and "answering" in second[2]


@pytest.mark.parametrize(
    ("lost", "remark", "role"),
    [(0, "its accuracy is undecided ≈", "accent-b"), (60, "but its accuracy is WORSE ✗", "text")],
)
def test_the_verdict_of_an_ab_carries_the_points(lost: int, remark: str, role: str) -> None:
    made = ab_with_task()
    made.fidelity(kld=0.0001, top1=2048)
    made.made += [asked(), answers("A", 0), answers("B", lost)]
    ab_view = build_view(fold_all(made.begin().blocks(30, 1.5, 0.004).end())).ab
    assert ab_view is not None
    assert ab_view.comparison.role == role
    rows = {label: (value, beside) for label, value, _, beside in ab_view.comparison.rows}
    assert rows["accuracy"][0].startswith("✗ −20.0 pt [" if lost else "≈ 0.0 pt [")
    assert rows["accuracy"][1] == "facts, 300 items"
    wide = "\n".join(lines(render_ab_verdict(ab_view, Area(120, 13, BRAILLE, boxed=True))))
    assert remark in wide and "facts" in wide
    # The name of the task stands whole; the number of its items gives way.
    small = "\n".join(lines(render_ab_verdict(ab_view, Area(80, 9, BRAILLE))))
    assert "facts," not in small and (lost or "]   facts " in small)
