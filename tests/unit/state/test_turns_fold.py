"""The log of a race is in plain words, and its figures are of the iterations that count."""

from __future__ import annotations

import copy
import math
import typing
from collections import Counter

import msgspec
import pytest

from support import race_session
from txtop.analysis import contention, energy, metrics
from txtop.analysis.tuning import find_result
from txtop.export.text.tuning import describe_course
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.state.turns_fold import list_endings
from txtop.stats.departure import Why
from txtop.ui.models.cache import FrameCache


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
        ("too long", False, "4 of its calls", "left the race: too long, 4 of its calls"),
        ("halved", False, "", "left the race: behind"),
        ("of a later version", False, "", "left the race: of a later version"),
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


def test_who_left_without_a_figure_is_told_once() -> None:
    state = SessionState()
    for event in race_session.Race(steps=0).events():
        fold(state, event)
    name = next(iter(state.cells))
    fold(state, events.Standing(t_ns=state.clock_ns, cell=name, why="halved"))
    lines = len(state.log)
    for ending in list_endings(state, "race", state.clock_ns):
        fold(state, ending)
    assert state.cells[name].status == "skipped" and len(state.log) == lines


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


def test_figures_of_who_was_confirmed_are_those_of_the_confirmation() -> None:
    """Its calls were made in fresh processes: rates and ratio are of the same blocks."""
    state = fold_all(list(race_session.Race(worn=1.3).events()))
    assert state.race is not None
    result = find_result(state)
    assert result is not None
    default = state.cells[state.race.tuning.default]
    confirmation = state.race.race.find_confirmation(result.outcome.arms)
    assert confirmation is not None
    ratio = math.exp(-confirmation.compare(result.winner.cell.id, default.cell.id).mean)
    calls = Counter(i for b in state.race.blocks for i in b.iterations.get(default.cell.id, ()))
    assert 0 < len(default.samples.kept()) < len(calls), "the race had some of its own"
    rates = [metrics.compute_mean(own, "tokens_per_s") for own in (result.winner, default)]
    assert rates[0] and rates[1]
    assert rates[0] / rates[1] == pytest.approx(ratio, rel=0.01)


def test_no_call_of_a_race_is_dropped_as_warm_up() -> None:
    """Its blocks are judged beside those of others; a series over reloads has no warm-up."""
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    name = next(iter(state.race.race.running))
    own = copy.deepcopy(state.cells[name])
    kept = own.samples.kept()
    for i in kept[: len(kept) // 3]:
        own.samples.e2e_ns[i] *= 2
    assert metrics.select_final_iterations(own) == kept
    own.in_turns = False
    assert metrics.select_final_iterations(own) != kept, "alone it would be warm-up"


def test_a_busy_block_that_counts_makes_its_candidate_busy() -> None:
    state = fold_all(list(race_session.Race(steps=60).events()))
    assert state.race is not None
    name, other, *_ = state.race.race.running
    own, taken = state.cells[name], [events.Contention(kind="others", size=1.0)]
    block = events.RaceBlock(
        t_ns=state.clock_ns, stage="race", round=98, order=[name], kept=True, contention=taken,
        iterations={name: own.samples.kept()[-2:-1]}, reasons=["others used 1.0 cores"],
    )  # fmt: skip
    assert not contention.is_busy(own)
    fold(state, msgspec.structs.replace(block, kept=False))
    assert not contention.is_busy(own), "it was measured again"
    fold(state, block)
    assert contention.is_busy(own) and not contention.is_busy(state.cells[other])
    assert metrics.summarise_live(own, "tokens_per_s").ci95 is None
    pair = {n: [len(state.cells[n].samples) - 1] for n in (name, other)}
    calm = msgspec.structs.replace(
        block, stage="confirm", order=list(pair), iterations=pair, reasons=[], contention=[]
    )
    own.samples.discarded.clear()
    fold(state, calm)
    assert not contention.is_busy(own), "the confirmation measured it afresh"


def test_blocks_that_are_repeated_and_kept_by_turns_are_told_once() -> None:
    """A calm block ends the stretch: the next disturbed one is news."""
    state = SessionState()
    for event in race_session.Race(steps=30).events():
        fold(state, event)
    assert state.race is not None
    (name, *_), taken = state.race.race.running, [events.Contention(kind="others", size=1.0)]
    for number in range(18):
        is_calm = number == 12
        block = events.RaceBlock(
            t_ns=state.clock_ns, stage="race", round=99 + number, order=[name],
            iterations={name: [0]}, kept=number % 3 < 2, contention=[] if is_calm else taken,
            reasons=[] if is_calm else ["others used 1.0 cores"],
        )  # fmt: skip
        fold(state, block)
    lines = [line.text for line in state.log if line.text.startswith("block ")]
    told = ["block kept on a busy machine", "block discarded"]
    assert [line.split(":")[0] for line in lines] == told * 2


def test_energy_and_utilisation_of_a_candidate_are_of_its_own_turns() -> None:
    """Not of all between its first round and its last block, and not of the race once confirmed."""
    state = fold_all(list(race_session.Race().events()))
    result = find_result(state)
    assert result is not None
    for own in (result.winner, state.cells["c002"]):
        intervals = energy.find_work_intervals(state, own)
        worked_ns = sum(high - low for low, high in intervals)
        assert worked_ns == sum(own.samples.e2e_ns[i] for i in own.samples.kept())
        assert len(intervals) > 1


def test_another_warm_up_cut_leaves_alone_what_takes_turns() -> None:
    made = list(race_session.Race().events())
    usual, cut = fold_all(made), fold_all(made, warmup_cut=1)
    assert {n: c.samples.kept() for n, c in cut.cells.items()} == {
        n: c.samples.kept() for n, c in usual.cells.items()
    }


def test_a_block_of_the_confirmation_that_does_not_count_replaces_nothing() -> None:
    """Energy is raced, and the second block has none for one arm: it is measured for nothing."""
    state = fold_all(list(race_session.Race(steps=60).events()))
    assert state.race is not None
    state.race.tuning = msgspec.structs.replace(state.race.tuning, objective="energy")
    names = state.race.race.running[:2]
    ends = {name: len(state.cells[name].samples) for name in names}
    for back, joules in ((2, dict.fromkeys(names, 1.0)), (1, {names[0]: 1.0})):
        block = events.RaceBlock(
            t_ns=state.clock_ns, stage="confirm", round=0, order=names, kept=True, joules=joules,
            iterations={name: [ends[name] - back] for name in names},
        )  # fmt: skip
        fold(state, block)
    assert {n: state.cells[n].samples.since for n in names} == {n: ends[n] - 2 for n in names}


def test_a_block_that_a_kill_left_open_counts_for_nobody() -> None:
    """Also of a candidate that is not measured again after the run was resumed."""
    made = list(race_session.Race(steps=30).events())
    last = max(i for i, e in enumerate(made) if isinstance(e, events.RaceBlock))
    state = fold_all(made[:last])
    (name,) = (n for n, places in made[last].iterations.items() if places)
    before = len(state.cells[name].samples.kept())
    fold(state, events.Segment(t_ns=state.clock_ns, wall_s=0.0, torn_bytes=0, boot_id="b", pid=1))
    assert len(state.cells[name].samples.kept()) < before


def test_what_no_txtop_wrote_is_folded_without_an_error() -> None:
    state = fold_all(list(race_session.Race(steps=30).events()))
    name = next(iter(state.cells))
    for iterations in ({}, {name: []}, {name: [0], "c002": [0]}):
        block = events.RaceBlock(
            t_ns=state.clock_ns, stage="race", round=0, order=[], iterations=iterations, kept=True
        )
        fold(state, block)


def test_a_live_figure_is_made_again_once_other_iterations_count() -> None:
    """A block may be discarded after its last iteration: nothing new is measured then."""
    state, cache = fold_all(list(race_session.Race(steps=30).events())), FrameCache()
    assert state.race is not None
    name = next(iter(state.race.race.running))
    own = state.cells[name]
    before = cache.summarise_live(own, "tokens_per_s")
    block = events.RaceBlock(
        t_ns=state.clock_ns, stage="race", round=99, order=[name], kept=False,
        iterations={name: own.samples.kept()[-1:]}, reasons=["stopped"],
    )  # fmt: skip
    fold(state, block)
    now = cache.summarise_live(own, "tokens_per_s")
    assert now.n == before.n - 1 and now == metrics.summarise_live(own, "tokens_per_s")


def test_a_block_that_was_cut_off_is_no_repeat() -> None:
    state = fold_all(list(race_session.Race(steps=30).events()))
    assert state.race is not None
    name = state.race.race.running[0]
    before_s = state.race.race.spent_s
    for reasons in (["stopped"], ["a worker was lost"], ["throttled: power"]):
        block = events.RaceBlock(
            t_ns=state.clock_ns, stage="race", round=99, order=[name], iterations={name: [0]},
            kept=False, reasons=reasons,
        )  # fmt: skip
        fold(state, block)
    call_s = state.cells[name].samples.e2e_ns[0] / 1e9
    assert (state.race.discarded, state.race.repeated) == (3, 1)
    assert state.race.repeated_s == pytest.approx(call_s)
    assert state.race.race.spent_s == pytest.approx(before_s + 3 * call_s)
