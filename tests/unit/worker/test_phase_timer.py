"""The phases of a load."""

from __future__ import annotations

import time

import pytest

from txtop.worker.loading.phase_timer import RESOLVE, PhaseTimer


def test_phases_have_no_holes_and_leave_the_search_for_the_model_out() -> None:
    entered: list[str] = []
    started = time.perf_counter_ns() - 500_000_000
    clock = PhaseTimer(started, entered.append)
    for name, seconds in (("import", 0.01), (RESOLVE, 0.2), ("import", 0.01), ("weights", 0.05)):
        clock.enter(name)
        time.sleep(seconds)
    load_s, phases = clock.stop()
    assert entered == ["import", RESOLVE, "import", "weights"]
    assert set(phases) == {"import", "weights"}
    assert sum(phases.values()) == pytest.approx(load_s, rel=1e-6)
    assert phases["import"] == pytest.approx(0.52, abs=0.05)
    assert load_s == pytest.approx(0.57, abs=0.06)


@pytest.mark.parametrize("ahead_s", [-601, 2**32])
def test_a_start_on_another_clock_is_not_used(ahead_s: int) -> None:
    clock = PhaseTimer(time.perf_counter_ns() + ahead_s * 10**9, lambda _: None)
    clock.enter("import")
    assert clock.stop()[0] < 1.0
