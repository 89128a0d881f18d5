"""Two sessions on one clock."""

from __future__ import annotations

from support import streams
from txtop.protocol import events
from txtop.session.alignment import (
    align_sessions,
    compute_common_ns,
    find_landmarks,
    split_position,
)
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def slowed(models: tuple[str, ...], factor: int) -> SessionState:
    """Return a session whose cells, and they alone, take `factor` times as long as in `streams`."""
    made = streams.stream(streams.plan(models, iterations=12))
    origin = made[0].t_ns
    for event in made:
        event.t_ns = origin + (event.t_ns - origin) * factor
    return fold_all(made)


def test_phases_begin_together_and_the_faster_waits() -> None:
    left, right = slowed(("gpt2", "t5-small"), 1), slowed(("gpt2", "t5-small"), 3)
    legs = align_sessions(left, right)
    assert legs[0].at_ns == 0 and split_position(legs, 0) == (0, 0)
    for one, other in zip(find_landmarks(left), find_landmarks(right), strict=True):
        for a, b in zip(one, other, strict=True):
            at = compute_common_ns(legs, 0, a)
            assert at == compute_common_ns(legs, 1, b)
            assert split_position(legs, at) == (a, b)
    end = legs[-1].at_ns + legs[-1].length_ns
    assert end == right.clock_ns
    assert split_position(legs, end) == (left.clock_ns, right.clock_ns)
    started, measured, _ = find_landmarks(left)[0]
    just_before = compute_common_ns(legs, 0, measured) - 1
    a, b = split_position(legs, just_before)
    assert a == measured and b == find_landmarks(right)[0][1] - 1
    half = compute_common_ns(legs, 0, started) + (measured - started) // 2
    assert split_position(legs, half)[0] == started + (measured - started) // 2


def test_time_goes_on_in_both_and_never_back() -> None:
    left, right = slowed(("gpt2",), 2), slowed(("gpt2", "t5-small"), 1)
    legs = align_sessions(left, right)
    end = legs[-1].at_ns + legs[-1].length_ns
    before = (0, 0)
    for step in range(501):
        now = split_position(legs, end * step // 500)
        assert now[0] >= before[0] and now[1] >= before[1]
        before = now
    assert before == (left.clock_ns, right.clock_ns)


def test_sessions_without_a_cell_still_have_a_clock() -> None:
    made = streams.stream()[:2]
    empty = fold_all(made)
    whole = slowed(("gpt2",), 1)
    legs = align_sessions(empty, whole)
    end = legs[-1].at_ns + legs[-1].length_ns
    assert end == whole.clock_ns and split_position(legs, end) == (0, whole.clock_ns)
    assert split_position(align_sessions(empty, empty), 5) == (0, 0)


def test_a_cell_that_was_refused_is_no_landmark() -> None:
    made = streams.stream()
    plan = made[0].plan  # type: ignore[union-attr]
    refused = [
        *made[:2],
        events.CellRejected(t_ns=made[1].t_ns, cell=plan.cells[0].id, reason="no"),
    ]
    assert find_landmarks(fold_all(refused)) == []
