"""The panel of a race: who is in, who left and why, the outcome, and its place on the screen."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import get_args

import msgspec
import pytest

from support import race_session, ui_events
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.tuning import find_result
from txtop.export.formats import WRITERS
from txtop.export.text.tuning import format_tuning
from txtop.formatting import format_figure
from txtop.plan import labels
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.tuning import CallLimit, Objective, Tuning
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.stats.departure import Departure, Why
from txtop.stats.race_outcome import RaceOutcome
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import measure_row
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.layout import arrange_session
from txtop.ui.models.session_outcome import build_session_outcome, compute_final_figures
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.cells import render_cells
from txtop.ui.panels.race import render_race
from txtop.ui.panels.results import render_results


def build(events: list[AnyEvent]) -> View:
    return build_view(fold_all(events))


def draw(view: View, width: int, height: int, mode: GlyphMode = "braille") -> list[str]:
    rows = render_race(view, Area(width, height, Glyphs(mode)))
    assert len(rows) == height and {measure_row(row) for row in rows} == {width}
    return ["".join(text for text, _ in row).rstrip() for row in rows]


@pytest.fixture(scope="module")
def underway() -> View:
    return build(list(race_session.Race(steps=100).events()))


@pytest.fixture(scope="module")
def over() -> View:
    return build(list(race_session.Race().events()))


def test_a_race_under_way_says_who_is_in_and_who_left(underway: View) -> None:
    assert underway.race is not None
    title, head, *rows = draw(underway, 80, 17)
    assert "race" in title and "E2E p90 below 2,500 ms" in title
    assert "round" in head and f"{underway.race.running} of 24 in" in head
    assert head.endswith("of 04:00 measured")
    assert underway.left == "", "nobody knows how long a race takes"
    text = "\n".join(rows)
    for why in ("slower", "0 of 4 calls within E2E 2,500 ms", "does not fit", "below the floor"):
        assert why in text, why
    assert "(default)" in text


@pytest.mark.parametrize("steps", [0, 30])
def test_random_weights_have_one_badge_in_every_row(steps: int) -> None:
    """Before any is loaded, too: one comparison tells it of all."""
    view = build(list(race_session.Race(steps, weights="random").events()))
    assert view.race is not None and len(view.race.rows) == 24
    forms = "not measurable: random weights", "random weights", "?"
    assert {(row.output, row.output_role) for row in view.race.rows} == {(forms, "text")}


def test_each_departure_has_its_words_in_the_panel_and_in_the_report() -> None:
    state = fold_all(list(race_session.Race(steps=100).events()))
    left = [own for own in state.race.race.candidates.values() if own.left] if state.race else []
    for own, why in zip(left, get_args(Why), strict=False):
        own.left = Departure(why, detail="4 of its calls")
    view, (*_, report) = build_view(state), format_tuning(state)
    assert view.race is not None
    whys = {row.why for row in view.race.rows}
    assert {"slower", "behind", "too long: 4 of its calls", "failed: 4 of its calls"} <= whys
    counted = dict(view.race.departures)
    assert counted["behind"] == counted["too long"] == counted["failed"] == 1
    assert "1 behind when time was short, " in report and "1 too long, " in report
    assert "halved" not in report + str(whys) + str(counted)


def test_intervals_of_those_that_are_in_stand_on_one_axis(underway: View) -> None:
    lines = draw(underway, 120, 17)
    axis = next(i for i, line in enumerate(lines) if "beside the leader" in line)
    inside = lines[2:axis]
    assert inside and all("x" in line for line in inside)
    assert any("├" in line for line in inside)
    assert "1.0" in lines[axis]


@pytest.mark.parametrize(("why", "role"), [("skipped", "muted"), ("failed", "warn")])
def test_who_left_for_no_fault_of_its_own_is_muted(why: Why, role: str) -> None:
    story = list(race_session.Race(steps=30).events())
    name = next(event.cell for event in story if isinstance(event, events.CellStarted))
    left = events.Standing(t_ns=story[-1].t_ns + 1, cell=name, why=why, detail="for a reason")
    race = build([*story, left]).race
    assert race is not None
    (row,) = (row for row in race.rows if row.why == f"{why}: for a reason")
    assert row.why_role == role


def test_who_is_over_a_limit_so_far_is_marked(underway: View) -> None:
    assert underway.race is not None
    over = [row for row in underway.race.rows if not row.keeps and not row.why]
    assert over and any(f"▲ {row.name}" in "\n".join(draw(underway, 120, 17)) for row in over)


def test_an_outcome_says_how_sure_it_is_and_what_binds(over: View) -> None:
    lines = draw(over, 120, 24)
    assert "confirmed" in lines[1] and "tok/s" in lines[1]
    assert "x as fast as today's default" in lines[2] and "blocks" in lines[2]
    assert any(line.strip(" │").startswith("limited by E2E p90") for line in lines)
    assert any("limited by quality: int8" in line and "visible 0.03)" in line for line in lines)


@pytest.mark.parametrize("height", [9, 11, 14])
def test_the_outcome_the_best_two_and_the_default_come_before_others(
    over: View, height: int
) -> None:
    """At 120x40 there was less of the answer than at 80x24, and at both no row of the default."""
    assert over.race is not None
    lines = draw(over, 118, height)
    text = "\n".join(lines)
    assert "(default)" in text and "beside the winner" in text
    assert sum(line[1] in "●·▲" for line in lines) >= 2
    count = sum(line.strip()[:20] in text for line in over.race.verdict)
    assert count == min(len(over.race.verdict), height - 1 - 5)
    inside = tuple(row for row in over.race.rows if not row.why)
    rows = tuple(replace(row, is_default=False) for row in inside * 4 + inside[:1])
    rows = (*rows, replace(inside[0], leads=False, is_default=True, name="today"))
    crowd = replace(over, race=replace(over.race, rows=rows))
    assert "today (default)" in "\n".join(draw(crowd, 118, height)), "also where it is in, and far"


def test_a_leader_alone_has_no_axis(over: View) -> None:
    assert over.race is not None
    rows = tuple(row for row in over.race.rows if row.leads or row.why)
    lines = draw(replace(over, race=replace(over.race, rows=rows)), 118, 12)
    assert "beside the" not in "\n".join(lines) and "░" not in "\n".join(lines)


def test_where_nobody_keeps_the_limits_so_far_it_says_so_with_what_each_reaches() -> None:
    story = race_session.Race(steps=30)
    limits = (CallLimit(time="e2e", share=0.9, most_ms=20.0), race_session.LIMIT)
    story.plan = race_session.build_plan(limits)
    made = list(story.events())
    if isinstance(made[-1], events.SessionEnded):
        made.pop()
    view = build(made)
    assert view.race is not None
    first, nearest = view.race.verdict
    assert (first, view.race.role) == ("nobody keeps the limits so far", "warn")
    assert nearest.startswith("nearest: ") and "E2E" in nearest
    over = [row for row in view.race.rows if row.limited and not row.why]
    assert over
    for width in (80, 120):
        lines = draw(view, width, 17)
        assert "nobody keeps the limits so far" in lines[1]
        assert any("▲" in li and "within E2E 20 ms" in li and "tok/s" in li for li in lines), width


def test_the_big_number_is_that_of_the_winner(over: View) -> None:
    """The fastest is over a limit."""
    assert over.results is not None
    assert over.results.word == "to deploy"
    assert over.results.name.startswith("bf16 · sdpa · batch 16")


def test_a_race_that_was_stopped_had_measured_something() -> None:
    """Its candidates never ended; `nothing was measured` stood beside minutes of measuring."""
    story = list(race_session.Race(steps=100).events())
    end = events.SessionEnded(
        t_ns=story[-1].t_ns + 1, reason="stopped", wall_s=1.0, statistics_version=4, sha256=""
    )
    stopped = build([*story, end])
    assert stopped.results is not None and stopped.race is not None
    assert stopped.results.value is not None
    assert stopped.results.counts.endswith("of 24 candidates measured")
    assert not stopped.results.counts.startswith("0 ")
    assert stopped.results.ratio == "not confirmed"
    (ratio,) = stopped.results.why
    assert re.fullmatch("[0-9.]+x as fast as today's default", ratio)


def build_for(limits: tuple[CallLimit, ...], objective: Objective, steps: int) -> SessionState:
    """Build a race that ended, for an objective and under limits of its own."""
    story = race_session.Race(steps=steps)
    plan = race_session.build_plan(limits)
    tuning = msgspec.structs.replace(plan.tuning, objective=objective)
    story.plan = msgspec.structs.replace(plan, tuning=tuning, cost_per_hour=1.5)
    made = [event for event in story.events() if not isinstance(event, events.SessionEnded)]
    end = events.SessionEnded(
        t_ns=made[-1].t_ns + 1, reason="done", wall_s=1.0, statistics_version=4, sha256=""
    )
    return fold_all([*made, end])


def test_where_nobody_keeps_the_limits_the_results_say_so_and_who_is_nearest() -> None:
    """`nothing was measured` stood where four candidates had been measured."""
    limit = CallLimit(time="e2e", share=0.9, most_ms=20.0)
    results = build_view(build_for((limit,), "tokens_per_s", 1_000_000)).results
    assert results is not None and results.value is None
    assert results.word == "no configuration can be named: none keeps the limits"
    nearest, *lost = results.lines
    assert nearest.label == "nearest" and "E2E" in nearest.name and "20 ms" in nearest.name
    assert [(line.label, line.value) for line in lost] == [
        ("does not fit", "2 candidates"), ("below the floor", "8 candidates")
    ]  # fmt: skip


def test_the_big_number_is_the_objective_and_what_was_not_shown_is_no_ratio() -> None:
    """It was a rate where the cost was raced, and a bold `1.16x ... in cost` read as dearer."""
    state, cache = build_for((race_session.LIMIT,), "cost", 1_000_000), FrameCache()
    confirmed = build_view(state).results
    assert confirmed is not None and confirmed.unit == "$/Mtok"
    assert confirmed.ratio.endswith("x as cheap as today's default")
    assert not confirmed.half and confirmed.why[0].startswith("[")
    for _ in compute_final_figures(state, cache):
        pass
    listed = build_session_outcome(state, cache).value
    assert listed == f"{format_figure(confirmed.value)} $/Mtok"


@pytest.mark.parametrize("per_hour", [0.001, 0.1, 1.5])
def test_a_small_cost_is_the_same_figure_everywhere_with_its_unit(per_hour: float) -> None:
    """It was `0.00 $/Mtok` in big digits and `0.00133 $…` in the row of the winner."""
    state = build_for((race_session.LIMIT,), "cost", 1_000_000)
    assert state.header is not None
    state.header.plan = msgspec.structs.replace(state.plan, cost_per_hour=per_hour)
    view = build_view(state)
    assert view.results is not None and view.race is not None and view.results.value
    figure = f"{format_figure(view.results.value)} $/Mtok"
    for mode in ("ascii", "braille"):
        drawn = render_results(view.results, Area(68, 15, Glyphs(mode)))
        texts = ["".join(text for text, _ in row) for row in drawn]
        assert any("$/Mtok" in text for text in texts)
        assert mode == "braille" or any(figure.split()[0] in text for text in texts), texts
        assert any("x as cheap as today's" in text for text in texts)
        assert {measure_row(row) for row in drawn} == {68}
    for width in (80, 120):
        winner = next(line for line in draw(view, width, 20) if "1.00x" in line)
        assert figure in winner, winner


def test_names_that_have_no_row_take_no_room_of_the_figure(underway: View) -> None:
    """A long name far below left no row of a cost race its cost on 80 columns."""
    assert underway.race is not None
    rows = [
        replace(row, name="fp32", figure="1.33 $/Mtok", gib="", output=("?",), why="")
        for row in underway.race.rows
    ]
    rows[-1] = replace(rows[-1], name="a name of more than forty columns, far below")
    view = replace(underway, race=replace(underway.race, rows=tuple(rows)))
    assert "1.33 $/Mtok" in draw(view, 80, 12)[2]


def test_what_binds_is_dropped_for_no_empty_row(over: View) -> None:
    """`limited by the space` was dropped above a blank row where two had been raced."""
    assert over.race is not None
    rows = [replace(row, why="") for row in over.race.rows[:2]]
    for count in (1, 2):
        race = replace(over.race, rows=tuple(rows[:count]), verdict=("one", "two", "three"))
        assert race.row_count == 4 + count + (count > 1)
        drawn = draw(replace(over, race=race), 120, race.row_count + 2)
        assert any("three" in line for line in drawn) and drawn[-2].strip("│ ")


@pytest.mark.parametrize("height", [15, 20])
def test_where_no_difference_is_shown_that_is_the_answer_and_the_ratio_its_doubt(
    monkeypatch: pytest.MonkeyPatch, height: int
) -> None:
    monkeypatch.setattr(RaceOutcome, "shows_difference", False)
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    state.race.tuning = msgspec.structs.replace(state.race.tuning, objective="cost")
    results = build_view(state).results
    assert results is not None and results.number_role == "text"
    assert results.ratio == "no difference shown"
    assert results.why[0].startswith("9.77x as cheap as today's default [9.37, 10.18] 95 %, ")
    drawn = [
        [(text.strip(), role) for text, role in row if text.strip()]
        for row in render_results(results, Area(100, height, Glyphs("braille")))
    ]
    spans = [span for row in drawn for span in row]
    assert ("no difference shown", "text.bold") in spans
    assert any(text.startswith("9.77x as cheap") and role == "muted" for text, role in spans)


@pytest.mark.parametrize("width", [80, 120])
def test_the_default_is_named_whole_beside_its_caches(width: int) -> None:
    """Cut, `b1 (default)` read as `b1…`, a batch of ten or more."""
    cells = expand_matrix(
        models=["gpt2"], precisions=["fp32", "bf16"], batch_sizes=[1, 4, 8, 16],
        cache=["dynamic", "static"],
    )  # fmt: skip
    plan = Plan(cells=cells, tuning=Tuning(default=cells[0].id))
    text = "\n".join(draw(build([ui_events.header(plan)]), width, 20))
    assert "fp32 · dynamic cache · b1 (default)" in text


def test_before_anybody_leads_there_is_no_axis_and_what_has_no_row_is_counted() -> None:
    view = build([ui_events.header(race_session.build_plan())])
    for width in (80, 120, 200):
        lines = draw(view, width, 17)
        assert "24 of 24 in" in lines[1] and "beside the leader" not in "\n".join(lines)
        listed = sum(line.strip(" │").startswith("· ") for line in lines)
        assert f"{24 - listed} more in" in lines[listed + 2]
        assert "░" not in "\n".join(lines)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_an_outcome_ends_with_a_whole_part(over: View, width: int) -> None:
    """Cut, `80 blocks` read as a number that goes on."""
    assert over.race is not None
    lines = draw(over, width, 24)
    several = [line for line in over.race.verdict[:3] if "  " in line]
    assert several
    for line, whole in zip(lines[1:], several, strict=False):
        text = line.strip(" │")
        assert whole.startswith(text.removesuffix("…")), text
        rest = whole.removeprefix(text.removesuffix("…"))
        assert rest[:2] in (("  ", ", ") if text.endswith("…") else ("",)), text


@pytest.mark.parametrize(("width", "expected"), [(120, " random weights"), (64, " ?")])
def test_an_output_that_nobody_can_judge_says_so_in_whole_words(
    underway: View, width: int, expected: str
) -> None:
    assert underway.race is not None
    unknown = ("not measurable: random weights", "random weights", "?")
    rows = tuple(replace(row, output=unknown) for row in underway.race.rows)
    lines = draw(replace(underway, race=replace(underway.race, rows=rows)), width, 17)
    assert any(line.endswith(expected) for line in lines)
    assert not any("measurable" in line for line in lines)


def test_who_left_has_its_ratio_alone_which_compares_what_was_measured_together(over: View) -> None:
    left = [line for line in draw(over, 120, 30) if "slower" in line and "x" in line]
    assert left and not any("tok/s" in line for line in left)


def test_any_size_has_whole_rows(underway: View, over: View) -> None:
    for view in (underway, over):
        for width in range(1, 150, 7):
            for height in range(1, 30, 4):
                draw(view, width, height)
    assert all(line.isascii() for line in draw(over, 78, 20, "ascii"))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_race_stands_in_place_of_the_cells(size: tuple[int, int]) -> None:
    places = arrange_session(*size, cells=24, race=24).places
    assert "race" in places and "cells" not in places
    assert ("hero" in places) == (size[0] >= 100)
    assert "cells" in arrange_session(*size, cells=24, race=24, zoom="cells").places
    for name, region in places.items():
        assert region.y + region.height <= size[1] and region.x + region.width <= size[0], name


def test_all_stand_beside_the_winner_once_another_led_the_race() -> None:
    state = fold_all(list(race_session.Race(upset=True).events()))
    result = find_result(state)
    assert result is not None and state.race is not None
    winner, led = result.winner.cell.id, state.race.race.leader
    assert winner != led, "the confirmation named another"
    view = build_view(state)
    assert view.race is not None
    first, second, *_ = [row for row in view.race.rows if not row.why]
    assert first.leads and first.ratio == 1.0
    names = labels.name_apart([own.cell for own in state.cells.values()])
    assert first.name == names[winner] and second.name == names[led]
    exported = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]
    ratios = {own["cell"]: own["ratio"] for own in exported["candidates"]}
    assert ratios[winner] == 1.0 and ratios[led] == pytest.approx(second.ratio)
    beaten = {c["against"]: 1 / c["ratio"] for c in exported["confirmations"]}
    assert second.ratio == pytest.approx(beaten[led]), "that of the confirmation"
    assert second.ratio < 1 < math.exp(-state.race.race.compare(led, winner).mean)
    slower = [own for own in exported["candidates"] if own["left"] == "slower"]
    assert slower and all(own["against_ci95"][1] < 1 for own in slower)


def test_a_cell_that_is_out_says_so_before_its_ratio(over: View) -> None:
    """`1.82x` alone, without `over the limit`, made one look better than its neighbours."""
    rows = [row for row in over.cells if row.ratio and row.left]
    assert {row.left for row in rows} == {"over the limit", "slower"}
    for width in range(60, 120):
        drawn = render_cells(rows, None, Area(width, len(rows) + 2, Glyphs("braille")))
        for row, spans in zip(rows, drawn[2:], strict=True):
            text = "".join(part for part, _ in spans)
            assert row.left in text or row.ratio not in text, (width, text)
