"""The course of a cell, and the figures computed from its samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from support.batch_cell import conduct, exported, plan_with
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import table
from txtop.runner.batch_cell import CellSchedule
from txtop.stats.stopping import count_affordable
from txtop.stats.summary import classify_variation


def noisy(seed: int, share: float = 0.002) -> Callable[[], float]:
    random = np.random.RandomState(seed)
    return lambda: float(random.normal(1, share))


def test_the_gate_waits_until_two_windows_agree() -> None:
    plan = plan_with(iterations=10)
    _, steady, _ = conduct(plan, lambda i: 40.0)
    assert steady.samples.role.count("warmup") == 20
    session, falling, _ = conduct(plan, lambda i: 40.0 * (1 + 0.5 * 0.9**i))
    assert 30 <= falling.samples.role.count("warmup") <= 60
    assert exported(session).notes[-1] != "warm-up cut at a quarter of the budget"


@pytest.mark.parametrize("iterations", [None, 12])
def test_the_gate_has_a_quarter_of_the_budget_and_says_when_that_was_not_enough(
    iterations: int | None,
) -> None:
    plan = plan_with(iterations=iterations, budget_s=8.0)
    session, state, _ = conduct(plan, lambda i: 100.0 - i if i < 40 else 60.0)
    warm = [e for e, r in zip(state.samples.e2e_ns, state.samples.role, strict=True)][1:]
    spent_s = sum(warm[: state.samples.role.count("warmup")]) / 1e9
    assert 2.0 <= spent_s < 2.2
    assert "warm-up cut at a quarter of the budget" in exported(session).notes
    assert "warm-up cut at a quarter of the budget" in table.format_report(session, FinalMetrics())


def _warming(gpu: Callable[[float], dict[str, float | None]] | None) -> int:
    state = conduct(plan_with(iterations=10, budget_s=120.0), lambda i: 20.0, gpu)[1]
    return state.samples.role.count("warmup")


def test_on_a_gpu_the_gate_waits_for_a_flat_clock_alone() -> None:
    def calm(s: float) -> dict[str, float | None]:
        return {"temperature_c": 50.0, "sm_clock_mhz": 1980.0}

    def warming(s: float) -> dict[str, float | None]:
        return {"temperature_c": float(int(50 + 2 * min(s, 6))), "sm_clock_mhz": 1980.0}

    def boosting(s: float) -> dict[str, float | None]:
        return {"temperature_c": 50.0, "sm_clock_mhz": 1980.0 - 90 * (s > 1.5)}

    def silent(s: float) -> dict[str, float | None]:
        return {"temperature_c": None, "sm_clock_mhz": None}

    assert _warming(None) == _warming(silent) == 20
    assert 100 <= _warming(calm) <= 120  # two seconds of readings
    assert _warming(warming) == _warming(calm)  # a whole degree says nothing over 2 s
    assert 2.5 < _warming(boosting) * 0.02 < 14.0


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_count_replaces_the_gate(count: int) -> None:
    session, state, _ = conduct(plan_with(iterations=10, warmup=count), lambda i: 90.0 - i)
    assert state.samples.role.count("warmup") == count
    assert not any("cut" in note for note in exported(session).notes)


def test_blocks_take_about_a_tenth_of_a_second() -> None:
    plan = plan_with(iterations=1_000, warmup=0)
    session, state, _ = conduct(plan, lambda i: 1.0)
    assert len(state.samples.kept()) == 1_000
    schedule = CellSchedule(plan, session, state)
    del state.samples.role[500:]
    assert schedule.next_block() == ("measured", 100)


def test_a_cell_that_drifts_stops_as_one_without_steady_state() -> None:
    swing = noisy(1, 0.05)
    session, state, schedule = conduct(
        plan_with(warmup=3), lambda i: 100.0 * (1 + i / 100) * swing()
    )
    assert schedule.stopped_by == "no_steady_state" and len(state.samples.kept()) < 100
    cell = exported(session)
    assert cell.steady is False and "speed drifted; no interval" in cell.notes
    for name in ("tokens_per_s", "tpot_ms", "ttft_ms", "itl_ms"):
        metric = cell.metrics[name]
        assert metric.ci95 is None and "speed drifted; no interval" in metric.notes and metric.mean


def test_a_fixed_number_is_measured_whatever_the_trend() -> None:
    _, state, schedule = conduct(plan_with(warmup=0, iterations=200), lambda i: 10.0 + i)
    assert schedule.stopped_by == "iterations" and len(state.samples.kept()) == 200


def test_warm_up_that_went_on_is_in_no_figure() -> None:
    swing = noisy(2)
    plan = plan_with(warmup=1, iterations=32)
    session, _, _ = conduct(plan, lambda i: (200.0 if i < 4 else 100.0) * swing())
    cell = exported(session)
    assert cell.steady is True and "2 more iterations dropped as warm-up" in cell.notes
    for name in ("e2e_ms", "itl_ms"):
        metric = cell.metrics[name]
        assert metric.n == 30 and metric.max is not None and metric.max < 110


def test_p99_is_null_in_a_short_run_and_a_number_in_a_long_one() -> None:
    short = exported(conduct(plan_with(warmup=0, iterations=40), lambda i: 10.0)[0])
    assert short.metrics["e2e_ms"].p99 is None
    assert "p99 after 662 (40 so far)" in short.metrics["e2e_ms"].notes
    swing = noisy(3)
    long = exported(conduct(plan_with(warmup=0, iterations=700), lambda i: 10.0 * swing())[0])
    assert long.metrics["e2e_ms"].p99 is not None
    assert not any("p99" in note for note in long.metrics["e2e_ms"].notes)


@pytest.mark.parametrize(
    ("cv", "word"),
    [(0.0, "excellent"), (0.05, "good"), (0.1, "fair"), (0.2, "unstable"), (9.0, "unstable")],
)
def test_bands_of_variation(cv: float, word: str) -> None:
    assert classify_variation(cv, 10) == word
    assert classify_variation(cv, 9) == "too few to judge"


def test_only_a_headline_that_varies_says_so() -> None:
    for share, expected in ((0.02, False), (0.15, True)):
        swing = noisy(4, share)
        cell = exported(conduct(plan_with(warmup=0, iterations=40), lambda i, s=swing: 90 * s())[0])  # type: ignore[misc]
        cv_notes = [note for note in cell.metrics["tokens_per_s"].notes if note.startswith("CV ")]
        assert bool(cv_notes) == expected
        assert not any(note.startswith("CV ") for note in cell.metrics["e2e_ms"].notes)


@pytest.mark.fault(38)
def test_a_cell_without_a_sample_or_with_one_has_no_verdict() -> None:
    for iterations in (0, 1, 2):
        session, state, _ = conduct(plan_with(warmup=0, iterations=3), lambda i: 5.0)
        del state.samples.role[1 + iterations :]
        cell = exported(session)
        assert cell.steady is None and cell.metrics["e2e_ms"].n == iterations


@pytest.mark.fault(38)
def test_a_mean_of_nothing_divides_nothing() -> None:
    plan = plan_with(warmup=0)
    session, state, schedule = conduct(plan_with(warmup=0, iterations=12), lambda i: 400.0)
    for i in range(len(state.samples)):
        state.samples.ttft_ns[i] = 0
    schedule = CellSchedule(plan, session, state)
    assert schedule.next_block() is None and schedule.stopped_by == "converged"


@pytest.mark.parametrize("cost_s", [0.01, 0.7, 2.0, 5.0, 9.0, 11.0, 14.5, 20.0, 31.0, 60.0, 300.0])
@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"warmup": 3},
        {"warmup": 100},
        {"warmup": 3, "iterations": 10, "fitted": True},
        {"iterations": 1_000, "fitted": True},
    ],
    ids=str,
)
def test_a_cell_under_a_budget_ends_within_half_as_much_again_and_one_iteration(
    cost_s: float, rules: dict[str, object]
) -> None:
    _, state, schedule = conduct(plan_with(**rules), lambda i: 1e3 * cost_s)
    after_first_s = sum(state.samples.e2e_ns[1:]) / 1e9
    assert schedule.stopped_by in ("budget", "iterations", "converged")
    assert after_first_s <= 1.5 * 30 + cost_s + 0.1
    if schedule.stopped_by == "budget":
        assert len(state.samples) - 1 == pytest.approx(count_affordable(cost_s, 30), rel=0.01)
    if cost_s <= 15:
        assert len(state.samples.kept()) >= 3
    assert state.samples.kept()


def test_fitted_iterations_are_all_made_where_they_fit_and_few_where_not() -> None:
    plan = plan_with(warmup=3, iterations=10, fitted=True)
    for cost_s, warm, measured in ((0.1, 3, 10), (2, 3, 10), (5, 1, 5), (14.5, 0, 3), (40, 0, 2)):
        session, state, schedule = conduct(plan, lambda i, s=cost_s: 1e3 * s)  # type: ignore[misc]
        assert state.samples.role == ["first"] + ["warmup"] * warm + ["measured"] * measured
        assert schedule.stopped_by == ("iterations" if measured == 10 else "budget")
        notes = exported(session).notes
        assert (f"{warm} of 3 warm-up iterations fit into the budget" in notes) == (warm < 3)


def test_a_number_without_a_budget_is_measured_however_long_it_takes() -> None:
    _, state, schedule = conduct(plan_with(warmup=3, iterations=10), lambda i: 60e3)
    assert state.samples.role.count("measured") == 10 and schedule.stopped_by == "iterations"
    assert state.samples.role.count("warmup") == 3


def test_a_block_that_was_disturbed_is_kept_where_there_is_no_time_to_repeat_it() -> None:
    def slowed(s: float) -> dict[str, float | None]:
        return {"temperature_c": 50.0, "sm_clock_mhz": 1980.0 if s < 25 else 1000.0}

    plan = plan_with(warmup=0, iterations=10, fitted=True)
    session, state, schedule = conduct(plan, lambda i: 20e3, slowed)
    assert schedule.stopped_by == "budget" and len(state.samples.kept()) == 2
    assert [block.kept for block in state.blocks] == [False, True, True]
    assert sum(state.samples.e2e_ns[1:]) / 1e9 <= 1.5 * 30 + 20
    assert any("2 blocks kept" in note for note in exported(session).notes)


def test_a_repeated_block_takes_the_batches_that_were_discarded() -> None:
    def slowed(s: float) -> dict[str, float | None]:
        return {"temperature_c": 50.0, "sm_clock_mhz": 1000.0 if 5 < s < 8 else 1980.0}

    batches: list[int] = []
    plan = plan_with(warmup=0, iterations=60)
    _, state, _ = conduct(plan, lambda i: 500.0, slowed, batches=batches)
    assert any(not block.kept for block in state.blocks)
    places = [i for i, role in enumerate(state.samples.role) if role == "measured"]
    counted = [batches[n] for n, i in enumerate(places) if i in set(state.samples.kept())]
    assert sorted(counted) == list(range(60)) and len(batches) > 60
