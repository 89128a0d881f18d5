"""A candidate fits if it does both where it is measured and where it is deployed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from support import streams
from txtop.forecast.admission import explain_no_room
from txtop.forecast.fit_plan import build_search
from txtop.forecast.memory_fit import read_free_memory
from txtop.options.fit_options import FitRuleOptions
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.tuning import Tuning
from txtop.protocol import events
from txtop.state.fold import fold_all
from txtop.system import free_memory

GIB = 1 << 30


@pytest.mark.parametrize(
    ("asked_gib", "reason"),
    [
        (None, "20.0 GiB of RAM are free"),
        (64, "20.0 GiB of RAM are free"),
        (4, "4.00 GiB asked for"),
    ],
)
def test_a_machine_measures_for_no_larger_one_what_it_does_not_hold(
    asked_gib: int | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "read_free_bytes", lambda: 20 * GIB)
    small, large = expand_matrix(
        models=["gpt2"], batch_sizes=[1, 4096], sequence_lengths=[128], new_tokens=[32],
        device=["cpu"],
    )  # fmt: skip
    memory = asked_gib and asked_gib * GIB
    plan = Plan(cells=(small, large), tuning=Tuning(default=small.id, memory_bytes=memory))
    state = fold_all(streams.stream(plan)[:1])
    assert explain_no_room(state, small) == ""
    why = explain_no_room(state, large)
    assert why.startswith("needs ") and why.endswith(reason)


def test_fit_and_tune_have_one_reading_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """One asks the machine before a session is there, the other the sampler of its session."""
    total, used = 24.0 * GIB, 9.0 * GIB
    available = SimpleNamespace(available=total - used)
    monkeypatch.setattr(free_memory.psutil, "virtual_memory", lambda: available)
    monkeypatch.setattr(free_memory.cgroup, "read_memory_limit", lambda: None)
    values: dict[str, float | None] = {"ram_total_bytes": total, "ram_used_bytes": used}
    state = fold_all([events.Telemetry(t_ns=1, device="host", values=values)])
    searched = build_search("gpt2", {"device": "cpu"}, FitRuleOptions())
    assert searched.limit_bytes == read_free_memory(state).ram
