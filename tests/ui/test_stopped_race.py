"""Every place that shows a race which did not come to its end agrees on what it measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from support import ab_sessions, race_session, streams
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.tuning import find_result
from txtop.export.benchmark_v2 import to_benchmark_v2
from txtop.export.html.page import render_page
from txtop.export.html.plots import draw_tradeoff
from txtop.export.markdown import to_markdown
from txtop.export.text import table
from txtop.formatting import MISSING
from txtop.plan.labels import name_apart
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.runner.liveness import load_session
from txtop.state.fold import end_candidates, fold, fold_all
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.home import ListedSession
from txtop.ui.models.session_outcome import build_session_outcome, compute_final_figures
from txtop.ui.models.view import build_view
from txtop.ui.outcome_reader import OutcomeReader

ONE = ListedSession(
    path=Path(), label="race", models="gpt2", wall_s=0.0, cells_ok=0, cells_total=24,
    stage="stopped", bundled=False,
)  # fmt: skip
STEPS = 100


def tell(steps: int = STEPS) -> list[AnyEvent]:
    return list(race_session.Race(steps=steps).events())


def stop(story: list[AnyEvent]) -> events.SessionEnded:
    return events.SessionEnded(
        t_ns=story[-1].t_ns + 1, reason="stopped", wall_s=1.0, statistics_version=4, sha256=""
    )


def go_on(story: list[AnyEvent]) -> events.Segment:
    return events.Segment(t_ns=story[-1].t_ns + 2, boot_id="b", wall_s=2.0, pid=1)


def list_timed(story: list[AnyEvent]) -> set[str]:
    """List who was measured, by the log alone."""
    blocks = [event for event in story if isinstance(event, events.RaceBlock) and event.kept]
    return {name for block in blocks for name in block.iterations}


def list_rated(state: SessionState, finals: FinalMetrics) -> set[str]:
    """List who has a rate in the text table."""
    place = [name for name, _ in table.list_columns(state)].index("rate")
    rows = zip(state.cells, table.build_rows(state, finals), strict=True)
    return {name for name, row in rows if row[place] != MISSING}


def list_shown(state: SessionState) -> Iterator[tuple[str, set[str]]]:
    """Yield (place, those with a figure there)."""
    names, finals, cache = list(state.cells), FinalMetrics(), FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    outcome = build_session_outcome(state, cache)
    yield "home", {n for n, c in zip(names, outcome.cells, strict=True) if c.share}
    view = build_view(state)
    yield "rail", {n for n, c in zip(names, view.rail, strict=True) if c.state == "done"}
    yield "rows", {row.id for row in view.cells if row.state == "done" and row.rate_value}
    yield "text", list_rated(state, finals)
    for document in (render_page(state, finals).decode(), to_markdown(state, finals).decode()):
        assert "unfinished" not in document
    entries = json.loads(to_benchmark_v2(state, finals)).values()
    yield "benchmark", {e["config"]["name"] for e in entries if e["metadata"]["success"]}


def test_who_has_figures_in_a_race_that_was_stopped() -> None:
    story = tell()
    timed = list_timed(story)
    state = fold_all([*story, stop(story)])
    assert 3 < len(timed) < len(state.cells)
    for place, named in list_shown(state):
        assert named == timed, place
    results = build_view(state).results
    assert results is not None
    assert results.counts == f"{len(timed)} of {len(state.cells)} candidates measured"
    assert draw_tradeoff(state, FinalMetrics())


def test_home_names_whom_the_page_names(tmp_path: Path) -> None:
    """So of a race that was killed, in whose log there is no end."""
    story = tell()
    for name, told in (("stopped", [*story, stop(story)]), ("killed", story)):
        streams.write(path := tmp_path / f"{name}.jsonl", told)
        reader = OutcomeReader()
        item = replace(ONE, path=path, stage="stopped" if name == "stopped" else "cut off")
        reader.take([item])
        while reader.step() or reader.waiting:
            pass
        outcome = reader.join(item).outcome
        state = load_session(path)[0]
        result = find_result(state)
        assert outcome is not None and result is not None
        assert outcome.value.endswith("tok/s")
        assert outcome.name == name_apart(state.plan.cells)[result.winner.cell.id]
        assert list_rated(state, FinalMetrics()) == list_timed(story)


def test_a_call_of_a_block_that_never_ended_is_in_no_figure() -> None:
    story = tell()
    last = max(i for i, event in enumerate(story) if isinstance(event, events.RaceBlock))
    block = story[last]
    assert isinstance(block, events.RaceBlock)
    state = fold_all([*story[:last], stop(story)])
    for name, places in block.iterations.items():
        assert state.cells[name].samples.discarded >= set(places)


def test_a_race_that_goes_on_takes_the_ends_back() -> None:
    """Whoever is still in is raced, and its end in the log is the one that counts."""
    story = tell()
    state = fold_all([*story, stop(story)])
    before = take_snapshot(state)
    end_candidates(state)
    assert take_snapshot(state) == before, "whoever ended is not ended again"
    fold(state, go_on(story))
    timed = list_timed(story)
    assert not any(state.cells[name].over for name in timed)
    assert {name: len(state.cells[name].samples.kept()) for name in timed} == {
        name: len(own.samples.kept())
        for name, own in fold_all(story).cells.items()
        if name in timed
    }
    end = events.CellFinished(t_ns=story[-1].t_ns + 3, cell=min(timed), status="ok", n=1)
    fold(state, msgspec.structs.replace(end, stopped_by="race"))
    finished = state.cells[min(timed)].finished
    assert finished is not None and finished.stopped_by == "race"
    assert all(restore_snapshot(before, state).cells[name].over for name in timed)


def test_home_has_the_rates_of_an_ab_that_was_stopped() -> None:
    script = ab_sessions.script().begin().blocks(7, 1.5)
    state, cache = fold_all(script.end("cancelled", "stopped")), FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    cells = build_session_outcome(state, cache).cells
    assert all(cell.share and cell.notes[-1] == "cancelled" for cell in cells)
