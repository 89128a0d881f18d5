"""The log of a race says in plain words why a candidate left."""

from __future__ import annotations

import typing

import pytest

from support import race_session
from txtop.export.text.tuning import describe_course
from txtop.protocol import events
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.stats.race import Why


def leave(why: str, *, against: str = "", detail: str = "") -> str:
    """Return the line of the log about the first candidate that leaves."""
    state = SessionState()
    for event in race_session.Race(steps=0).events():
        fold(state, event)
    first, second, *_ = state.cells
    standing = events.Standing(
        t_ns=state.clock_ns, cell=first, why=why, against=second if against else "", detail=detail
    )
    fold(state, standing)
    return state.log[-1].text


@pytest.mark.parametrize(
    ("why", "beaten", "detail", "wording"),
    [
        ("slower", True, "", "left the race: slower than fp32 · sdpa · b"),
        ("halved", True, "", "left the race: behind fp32 · sdpa · b"),
        ("over the limit", False, "TTFT 210 ms", "left the race: over the limit, TTFT 210 ms"),
        ("does not fit", False, "", "left the race: does not fit"),
    ],
)
def test_a_departure_is_told_by_who_was_faster_or_by_the_bound(
    why: str, beaten: bool, detail: str, wording: str
) -> None:
    assert leave(why, against="yes" if beaten else "", detail=detail).startswith(wording)


def test_no_word_of_the_search_itself_is_in_the_log() -> None:
    for why in typing.get_args(Why):
        line = leave(why, against="yes", detail="because")
        assert "halved" not in line and "beside" not in line


def test_a_candidate_that_does_not_fit_is_told_once() -> None:
    state = SessionState()
    for event in race_session.Race(steps=0).events():
        fold(state, event)
    out = [line for line in state.log if "asked for" in line.text]
    rejected = [
        own for own in state.cells.values() if own.rejected and "asked" in own.rejected.reason
    ]
    assert rejected and len(out) == len(rejected)
    assert all(line.text.startswith("left the race") for line in out)


def test_discarded_blocks_are_counted_in_the_log() -> None:
    """The same trouble is told once, and then at every tenth block."""
    state = SessionState()
    for event in race_session.Race(steps=30).events():
        fold(state, event)
    assert state.race is not None
    (name, *_), taken = state.race.race.running, [events.Contention(kind="others", size=1.0)]
    for _ in range(25):
        block = events.RaceBlock(
            t_ns=state.clock_ns, stage="race", round=99, order=[name], iterations={name: [0]},
            kept=False, reasons=["others used 1.0 cores"], contention=taken,
        )  # fmt: skip
        fold(state, block)
    lines = [line.text for line in state.log if "discarded" in line.text]
    assert lines[0] == "block discarded: others used 1.0 cores"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "10 blocks discarded so far",
        "20 blocks discarded so far",
    ]
    assert describe_course(state.race).endswith("25 blocks discarded")
