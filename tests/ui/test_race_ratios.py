"""Every place that shows a race states one ratio of a candidate: that of its blocks and the
default's.
"""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import replace

import msgspec
import pytest

from support import race_session
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.ratios import compute_ratios
from txtop.analysis.tuning import compare_candidates, compute_gain, find_result
from txtop.export.formats import WRITERS
from txtop.export.html.page import render_page
from txtop.export.markdown import to_markdown
from txtop.export.text import table
from txtop.formatting import MISSING, format_ratio
from txtop.plan import labels
from txtop.plan.tuning import Objective
from txtop.protocol import events
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.stats.departure import Departure
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero import build_hero
from txtop.ui.models.session_outcome import compute_final_figures
from txtop.ui.models.view import View, build_view


@pytest.fixture(scope="module")
def state() -> SessionState:
    """A race whose calls take half as long again as those of its confirmation."""
    return fold_all(list(race_session.Race(worn=1.5).events()))


def look(state: SessionState) -> tuple[View, FrameCache]:
    cache = FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    return build_view(state, cache=cache), cache


def list_rows(state: SessionState) -> dict[str, dict[str, str]]:
    columns = [name for name, _ in table.list_columns(state)]
    rows = table.build_rows(state, FinalMetrics())
    return {
        name: dict(zip(columns, row, strict=True))
        for name, row in zip(state.cells, rows, strict=True)
    }


def list_notes(state: SessionState) -> str:
    return "\n".join(table.list_notes(state, FinalMetrics()))


def test_a_candidate_has_one_ratio_everywhere(state: SessionState) -> None:
    race = state.race
    assert race is not None
    default = race.tuning.default
    expected: dict[str, float] = {}
    for name, own in state.cells.items():
        ratio, _ = compute_gain(compare_candidates(race, name, default))
        if ratio is not None and name != default and own.status == "ok":
            expected[name] = ratio
    assert len(expected) > 10
    texts = {name: format_ratio(ratio) for name, ratio in expected.items()}
    rows = list_rows(state)
    assert {n: row["speed"] for n, row in rows.items() if row["speed"] != MISSING} == {
        default: "default",
        **texts,
    }
    markdown = to_markdown(state, FinalMetrics()).decode()
    head = next(line for line in markdown.splitlines() if "| speed |" in line).split("|")
    lines = [line.split("|") for line in markdown.splitlines() if line.count("|") == len(head) - 1]
    speeds = [line[head.index(" speed ")].strip() for line in lines[2:]]
    assert speeds == [row["speed"] for row in rows.values()]
    exported = json.loads(WRITERS["json"](state, FinalMetrics()))["cells"]
    assert {c["id"]: c["speed"] for c in exported if c["speed"] is not None} == pytest.approx(
        expected
    )
    written = csv.DictReader(io.StringIO(WRITERS["csv"](state, FinalMetrics()).decode()))
    read = {row["id"]: float(row["speed"]) for row in written if row["speed"]}
    assert read == pytest.approx(expected)
    page = render_page(state, FinalMetrics()).decode()
    assert all(text in page for text in texts.values())

    view, cache = look(state)
    assert {row.id: row.ratio for row in view.cells if row.ratio} == texts
    references = cache.references(state)
    heroes = {n: build_hero(state, own, references, cache) for n, own in state.cells.items()}
    assert {n: hero.ratio for n, hero in heroes.items() if hero.ratio} == texts
    of = "as fast as today's default"
    assert {hero.ratio_of for hero in heroes.values() if hero.ratio} == {of}
    results = view.results
    named = find_result(state)
    assert results is not None and named is not None
    assert results.ratio == f"{texts[named.winner.cell.id]} {of}"


def test_what_compares_equal_sizes_alone_has_nothing_of_a_race(state: SessionState) -> None:
    assert compute_ratios(state) == []
    view, _ = look(state)
    assert {plot.kind for plot in view.tradeoffs.plots} == {"rates"}
    assert "speed against" not in render_page(state, FinalMetrics()).decode()


def test_the_table_says_whose_figures_are_of_the_confirmation(state: SessionState) -> None:
    (note,) = (n for n in table.list_notes(state, FinalMetrics()) if "confirmation" in n)
    named, _, sentence = note.partition(": ")
    assert state.race is not None
    blocks = [block for block in state.race.blocks if block.stage == "confirm"]
    own = {labels.format_short_label(state.cells[n].cell) for b in blocks for n in b.iterations}
    assert set(named.split(", ")) == own and 1 < len(own) < len(state.cells)
    assert sentence in html.unescape(render_page(state, FinalMetrics()).decode())
    started = fold_all(list(race_session.Race(steps=100).events()))
    assert "of the confirmation" not in list_notes(started)


def test_a_row_says_why_its_candidate_left(state: SessionState) -> None:
    race = state.race
    assert race is not None
    statuses = {n: row["status"] for n, row in list_rows(state).items()}
    for name, own in race.race.candidates.items():
        if own.left is not None:
            assert statuses[name] == own.left.why, name
        elif not race.race.keeps_limits(name):
            assert statuses[name] == "over the limit"
        else:
            assert statuses[name] == "ok"
    assert {"slower", "over the limit", "does not fit", "below the floor"} <= set(statuses.values())


def test_who_is_behind_before_its_first_block_is_not_skipped() -> None:
    story = list(race_session.Race(steps=2).events())
    state = fold_all(story)
    assert state.race is not None
    last = list(state.cells)[-5]
    end = events.SessionEnded(
        t_ns=story[-1].t_ns + 2, reason="done", wall_s=1.0, statistics_version=4, sha256=""
    )
    left = events.Standing(t_ns=story[-1].t_ns + 1, cell=last, why="halved", against="c000")
    state = fold_all([*story, left, end])
    assert state.race is not None
    own = state.race.race.candidates[last]
    assert not own.costs and own.left == Departure("halved", "c000")
    assert state.cells[last].status == "skipped"
    assert list_rows(state)[last]["status"] == "behind"
    view, cache = look(state)
    assert next(row for row in view.cells if row.id == last).note == "behind"
    assert build_hero(state, state.cells[last], {}, cache).word == "behind"
    for text in (
        table.format_report(state, FinalMetrics()),
        to_markdown(state, FinalMetrics()).decode(),
        render_page(state, FinalMetrics()).decode(),
        str(view.tradeoffs),
        str(view.results),
        str(view.log),
    ):
        assert "skipped" not in text


@pytest.mark.parametrize(
    ("objective", "as_good"),
    [("tokens_per_s", "as fast"), ("energy", "as frugal"), ("ttft", "as fast in TTFT")],
)
def test_a_ratio_says_of_what(state: SessionState, objective: Objective, as_good: str) -> None:
    other = replace(state)
    assert other.race is not None
    tuning = msgspec.structs.replace(other.race.tuning, objective=objective)
    other.race = replace(other.race, tuning=tuning)
    view, _ = look(other)
    assert view.results is not None
    assert view.results.ratio.endswith(f"x {as_good} as today's default")
    assert f"speed is how many times {as_good} as" in list_notes(other)
