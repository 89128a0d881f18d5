"""Marks of a number: no check and no green where it does not hold."""

from __future__ import annotations

import pytest

from txtop import resources
from txtop.analysis.metrics import LiveSummary
from txtop.plan.cell import Cell
from txtop.session.reader import read_all
from txtop.state.cell import CellState
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.models import standing
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero import build_hero
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.ab_arm import render_ab_arm
from txtop.ui.panels.cells import render_cells

HELD = (24.0, 26.0)


def recorded(name: str) -> View:
    """Return the last frame of a bundled recording, with its final figures."""
    folder = resources.find_directory("sessions")
    state, cache = fold_all(read_all(folder / f"{name}.jsonl")[0]), FrameCache()
    return [build_view(state, cache=cache) for _ in range(len(state.cells) + 2)][-1]


@pytest.mark.parametrize(
    ("now", "standing_is"),
    [
        (LiveSummary(20, 25.0, HELD, 0.01), "steady"),
        (LiveSummary(20, 25.0, HELD, 0.08), "measured"),
        (LiveSummary(20, 25.0, None, 0.01), "doubtful"),
        (LiveSummary(3, 25.0, HELD, 0.01), "doubtful"),
    ],
)
def test_a_number_holds_as_far_as_its_interval_does(now: LiveSummary, standing_is: str) -> None:
    judged = standing.judge_standing(CellState(Cell(id="c", model="gpt2")), now)
    assert judged == standing_is
    _, _, role = standing.SIGNS[judged]
    assert role.startswith("ok") == (judged == "steady")


@pytest.mark.parametrize("name", ["gpt2-precisions", "bert-lengths", "smollm2-int8"])
def test_no_screen_ticks_off_a_number_without_an_interval(name: str) -> None:
    view = recorded(name)
    drawn = render_cells(view.cells, None, Area(120, 12, Glyphs(), True))
    marked = [
        (row.half, role, mark.strip())
        for row, (mark, role) in (
            (row, next(span for span in line if span[0].strip() in ("✓", "○", "▲")))
            for row, line in zip(view.cells, drawn[2:], strict=False)
        )
    ]
    assert len(marked) == len(view.cells)
    for half, role, mark in marked:
        assert half or (mark != "✓" and role != "ok")
    if view.ab is not None:
        for side, arm in enumerate(view.ab.sides):
            assert arm.hero.half or (arm.hero.mark, arm.hero.role) == ("○", "text")
            panel = render_ab_arm(view.ab, side, Area(60, 14, Glyphs(), True))
            assert not any(
                "done" in text and role.startswith("ok") for r in panel for text, role in r
            )


def test_a_number_stands_with_the_iterations_that_it_is_made_of() -> None:
    """Each of the twenty calls of an arm took its turn in a block that the ratio is made of."""
    arms = recorded("smollm2-int8").ab
    assert arms is not None
    for arm in arms.arms:
        assert arm.hero.subtitle[0][0].startswith("n 20") and arm.hero.chart.label == "n 20"


def test_the_recordings_have_numbers_of_each_kind() -> None:
    arms = recorded("smollm2-int8").ab
    assert arms is not None
    assert [(arm.hero.mark, arm.hero.word) for arm in arms.sides] == [("✓", "done"), ("✓", "done")]
    assert {row.standing for row in recorded("gpt2-precisions").cells} >= {"doubtful"}


def test_the_cell_at_work_and_the_table_agree() -> None:
    folder = resources.find_directory("sessions")
    state, cache = fold_all(read_all(folder / "gpt2-precisions.jsonl")[0]), FrameCache()
    view = [build_view(state, cache=cache) for _ in range(len(state.cells) + 2)][-1]
    for row in view.cells:
        cell = state.cells[row.id]
        hero = build_hero(state, cell, cache.references(state), cache)
        assert row.standing is not None
        assert (hero.mark, hero.word, hero.role) == standing.get_sign(cell, row.standing)
