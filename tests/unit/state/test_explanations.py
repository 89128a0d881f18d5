"""Explanations in the state: folded, pending until then, and gone again after a seek back."""

from __future__ import annotations

from support.explanations import list_explained_events
from txtop.protocol import codec, events
from txtop.state.fold import fold
from txtop.state.pending_work import find_pending_explanations
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot


def test_a_measured_cell_is_to_be_explained_until_it_is() -> None:
    state = SessionState()
    for event in list_explained_events():
        if isinstance(event, events.TraceSlices) and not state.traces:
            assert [cell.id for cell in find_pending_explanations(state)] == ["c000"]
            before = take_snapshot(state)
        fold(state, event)
    assert find_pending_explanations(state) == []
    assert set(state.traces) == {("c000", "prefill"), ("c000", "decode")}
    assert len(state.explanations["c000"].phases) == 2
    earlier = restore_snapshot(before, state)
    assert not earlier.explanations and not earlier.traces


def test_one_that_failed_for_a_reason_that_may_pass_is_pending_again() -> None:
    state = SessionState()
    for event in list_explained_events():
        if isinstance(event, events.Explanation):
            event = events.Explanation(
                t_ns=event.t_ns, cell="c000", failed="no room", may_pass=True
            )
        fold(state, event)
    assert len(find_pending_explanations(state)) == 1
    assert any(line.text == "not explained: no room" for line in state.log)


def test_the_events_go_through_the_log_as_they_are() -> None:
    for event in list_explained_events():
        if isinstance(event, events.Explanation | events.TraceSlices):
            assert codec.decode_event(codec.encode_event(event)) == event
