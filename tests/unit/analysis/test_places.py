"""Cells measured side by side: what is said of places that differ, and whose power it is."""

from __future__ import annotations

import msgspec
import pytest

from support import streams
from txtop.analysis.energy import summarise_device
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.analysis.places import SHARED_POWER, build_place_notes, explain_unlike_places
from txtop.export.csv import to_csv
from txtop.forecast.time_left import estimate_time_left
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.models.view import build_view

S = 1_000_000_000


def measure(places: tuple[str, ...], *loads: dict[str, object]) -> SessionState:
    """Return a session whose cells are at work at once, one a place, for ten seconds of 100 W."""
    plan = streams.plan(tuple(f"m{i}" for i in range(len(places) + 1)))
    header, segment, *_ = streams.stream(msgspec.structs.replace(plan, places=places))
    state, at = fold_all([header, segment]), header.t_ns
    for cell, place, load in zip(plan.cells, places, loads, strict=False):
        fold(state, events.CellStarted(t_ns=at, cell=cell.id, worker=f"w {place}", place=place))
        fold(state, streams.load(at, cell.id, **load))
    for second in range(11):
        now = at + second * S
        values: dict[str, float | None] = {"power_w": 100.0, "energy_j": 100.0 * second}
        fold(state, events.Telemetry(t_ns=now, device="host", values=values))
        for cell in plan.cells[: len(places)]:
            made = events.Iteration(
                t_ns=now, cell=cell.id, index=second, role="measured", start_ns=now,
                e2e_ns=S, ttft_ns=S // 2, tokens=10,
            )  # fmt: skip
            fold(state, made)
    return state


def test_places_that_differ_are_named_on_every_cell() -> None:
    loads: list[dict[str, object]] = [{"device_name": "A"}, {"device_name": "H"}]
    state = measure(("cuda:0", "cuda:1"), *loads)
    line = "places differ, cells compare within one kind alone (cuda:0: A; cuda:1: H)"
    assert explain_unlike_places(state) == line
    for own in [*state.cells.values()][:2]:
        assert line in build_cell_notes(state, own, FinalMetrics())


@pytest.mark.parametrize(
    ("places", "differ"),
    [
        (("cpu:0-3", "cpu:4-7"), ""),
        (
            ("cpu:0-3", "cpu:4-5"),
            "places differ, cells compare within one kind alone"
            " (cpu:0-3: A CPU, 4 cores; cpu:4-5: A CPU, 2 cores)",
        ),
    ],
)
def test_core_sets_are_alike_by_their_size(places: tuple[str, str], differ: str) -> None:
    assert explain_unlike_places(measure(places, {}, {})) == differ


def test_power_of_a_processor_that_places_share_belongs_to_no_cell() -> None:
    state = measure(("cpu:0", "cpu:1"), {}, {})
    for own in [*state.cells.values()][:2]:
        summaries = summarise_device(state, own)
        assert {s.mean for s in summaries.values()} == {None}
        assert any(SHARED_POWER in s.notes for s in summaries.values())


def test_power_of_a_processor_in_one_place_is_the_cells_own() -> None:
    state = measure(("cpu:0",), {})
    gross = summarise_device(state, state.cells["c001"])["energy_j_per_token"]
    assert gross.mean is not None


def test_a_cell_names_its_place_its_neighbours_and_what_they_cost() -> None:
    state = measure(("cuda:0", "cuda:1"), {"device": "cuda:0"}, {"device": "cuda:1"})
    outcome = events.Isolation(
        t_ns=0, place="cuda:1", rounds=6, margin=0.02, ratio=1.2, ci95=(1.1, 1.3)
    )
    fold(state, outcome)
    assert state.log[-1].level == "warning"
    assert build_place_notes(state, state.cells["c002"]) == [
        "measured in cuda:1, beside 1 other place",
        "beside its neighbours cuda:1 takes 1.20x [1.10, 1.30] as long",
    ]
    assert build_place_notes(state, state.cells["c001"]) == [
        "measured in cuda:0, beside 1 other place"
    ]
    assert not build_place_notes(state, state.cells["c003"])


def test_the_screen_shows_every_cell_at_work_with_its_place() -> None:
    state = measure(("cuda:0", "cuda:1"), {"device": "cuda:0"}, {"device": "cuda:1"})
    view = build_view(state)
    assert [row.state for row in view.cells] == ["running", "running", "waiting"]
    assert [row.note.split()[0] for row in view.cells[:2]] == ["cuda:0", "cuda:1"]
    assert [cell.state for cell in view.rail] == ["running", "running", "waiting"]
    assert "cuda, 2 places" in view.facts


def test_time_left_is_that_of_all_places_together() -> None:
    beside = measure(("cuda:0", "cuda:1"), {}, {})
    for own in beside.cells.values():
        if own.worker:
            fold(beside, events.CellFinished(t_ns=0, cell=own.cell.id, status="ok"))
    # One cell of 10 s waits: a second place does not make it faster.
    assert estimate_time_left(beside, [*beside.cells.values()]) == "~00:10"


def test_a_csv_without_places_has_no_such_column() -> None:
    alone = fold_all(streams.stream())
    assert b"place," not in to_csv(alone, FinalMetrics()).partition(b"\n")[0]
    placed = measure(("cuda:0",), {"device": "cuda:0"})
    assert b",place," in to_csv(placed, FinalMetrics()).partition(b"\n")[0]


def test_the_panel_of_the_cell_at_work_names_its_place() -> None:
    view = build_view(measure(("cuda:0", "cuda:1"), {}, {}))
    assert view.hero.title.endswith((" · cuda:0", " · cuda:1"))
    assert view.hero.short_title.endswith(view.hero.title[-9:])
    assert "cpu" not in build_view(fold_all(streams.stream(streams.plan()))).hero.title
