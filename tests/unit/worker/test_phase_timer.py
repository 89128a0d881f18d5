"""The phases of a load."""

from __future__ import annotations

import pytest

from txtop.worker.loading import phase_timer
from txtop.worker.loading.phase_timer import RESOLVE, PhaseTimer


def test_phases_have_no_holes_and_leave_the_search_for_the_model_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ns = 1_000_000_000_000
    monkeypatch.setattr(phase_timer, "perf_counter_ns", lambda: now_ns)
    entered: list[str] = []
    clock = PhaseTimer(now_ns - 500_000_000, entered.append)
    for name, ms in (("import", 10), (RESOLVE, 200), ("import", 10), ("weights", 50)):
        clock.enter(name)
        now_ns += ms * 1_000_000
    load_s, phases = clock.stop()
    assert entered == ["import", RESOLVE, "import", "weights"]
    assert set(phases) == {"import", "weights"}
    assert sum(phases.values()) == pytest.approx(load_s)
    assert phases["import"] == pytest.approx(0.52)
    assert load_s == pytest.approx(0.57)


@pytest.mark.parametrize("ahead_s", [-601, 2**32])
def test_a_start_on_another_clock_is_not_used(
    monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    now_ns = 1_000_000_000_000
    monkeypatch.setattr(phase_timer, "perf_counter_ns", lambda: now_ns)
    clock = PhaseTimer(now_ns + ahead_s * 10**9, lambda _: None)
    clock.enter("import")
    assert clock.stop()[0] == 0
