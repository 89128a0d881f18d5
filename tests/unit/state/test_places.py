"""Cells that are at work in several places at once, in the state of a session."""

from __future__ import annotations

import msgspec
import pytest

from support import streams
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot

PLACES = ("cuda:0", "cuda:1")


def begin(places: tuple[str, ...] = PLACES) -> tuple[SessionState, list[str]]:
    """Return a session of three cells of which none has started, and their ids."""
    made = streams.plan(("a", "b", "c"))
    header, segment, *_ = streams.stream(msgspec.structs.replace(made, places=places))
    return fold_all([header, segment]), [cell.id for cell in made.cells]


def start(cell: str, place: str = "") -> AnyEvent:
    return events.CellStarted(t_ns=0, cell=cell, worker=f"w {place}", place=place)


def step(cell: str) -> AnyEvent:
    return events.Iteration(
        t_ns=0, cell=cell, index=0, role="first", start_ns=0, e2e_ns=5, tokens=1
    )


def end(cell: str) -> AnyEvent:
    return events.CellFinished(t_ns=0, cell=cell, status="ok")


def test_cells_in_two_places_are_at_work_together() -> None:
    state, (a, b, _) = begin()
    for event in (start(a, "cuda:0"), start(b, "cuda:1"), step(a), step(b), step(a)):
        fold(state, event)
    assert state.working == {a, b}
    assert [len(state.cells[name].samples) for name in (a, b)] == [2, 1]
    assert [state.cells[name].place for name in (a, b)] == ["cuda:0", "cuda:1"]


def test_the_current_cell_stays_until_it_is_over_and_the_next_at_work_follows() -> None:
    state, (a, b, c) = begin()
    followed = []
    for event in (
        start(a, "cuda:0"),
        start(b, "cuda:1"),
        step(b),
        step(a),
        end(b),
        start(c, "cuda:1"),
        step(c),
        end(a),
        step(c),
    ):
        fold(state, event)
        followed.append(state.current)
    assert followed == [a, a, a, a, a, a, a, c, c]


def test_a_cell_that_starts_ends_what_is_at_work_in_its_place_alone() -> None:
    state, (a, b, c) = begin()
    for event in (start(a, "cuda:0"), start(b, "cuda:1"), start(c, "cuda:0")):
        fold(state, event)
    assert state.working == {b, c}
    fold(state, step(a))
    assert not len(state.cells[a].samples)


def test_without_places_one_cell_is_at_work() -> None:
    state, (a, b, _) = begin(())
    for event in (start(a), step(a), start(b)):
        fold(state, event)
    assert (state.working, state.current) == ({b}, b)


def test_a_resumed_session_has_nothing_at_work() -> None:
    state, (a, b, _) = begin()
    for event in (
        start(a, "cuda:0"),
        start(b, "cuda:1"),
        events.Segment(t_ns=0, boot_id="b", wall_s=0, pid=1),
    ):
        fold(state, event)
    assert not state.working and state.current is None


def test_a_replay_goes_back_to_where_two_were_at_work() -> None:
    state, (a, b, _) = begin()
    for event in (start(a, "cuda:0"), start(b, "cuda:1"), step(b)):
        fold(state, event)
    snapshot = take_snapshot(state)
    for event in (step(a), end(a), step(b), end(b)):
        fold(state, event)
    before = restore_snapshot(snapshot, state)
    assert before.working == {a, b} and before.current == a
    assert [len(before.cells[name].samples) for name in (a, b)] == [0, 1]


def test_a_place_in_a_recording_is_the_name_of_a_device() -> None:
    for place in ("cuda:1\x1b[31m", "gpu 1", "cpu:0\n"):
        line = codec.encode_event(start("c001", place))
        with pytest.raises(codec.BadLine):
            codec.decode_event(line)
    placed = start("c001", "cpu:0-3,8")
    assert codec.decode_event(codec.encode_event(placed)) == placed
