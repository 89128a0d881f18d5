"""The number of iterations of a cell."""

from __future__ import annotations

import msgspec

from support import streams
from txtop.plan.plan import Plan
from txtop.runner.batch_cell import CellSchedule
from txtop.state.cell import CellState
from txtop.state.session import SessionState


def conduct(plan: Plan, e2e_ms: float, noise: float = 0.0) -> tuple[CellState, CellSchedule]:
    """Answer every block of a schedule with iterations of `e2e_ms`, alternating by `noise`."""
    state = CellState(plan.cells[0])
    state.load = streams.load(0, "c001")
    schedule = CellSchedule(plan, SessionState(), state)
    while (block := schedule.next_block()) is not None:
        role, count = block
        for _ in range(count):
            samples = state.samples
            swing = 1 + noise * (-1) ** len(samples)
            e2e_ns = round(e2e_ms * swing * 1e6)
            samples.role.append(role)
            samples.start_ns.append(0)
            samples.e2e_ns.append(e2e_ns)
            samples.ttft_ns.append(e2e_ns // 4)
            samples.encoder_ns.append(-1)
            samples.prompt_tokens.append(-1)
            samples.tokens.append(4)
            samples.gaps_from.append(0)
    return state, schedule


def test_a_fixed_number_is_measured_exactly_after_first_and_warm_up() -> None:
    plan = streams.plan(("gpt2",), iterations=37)
    state, schedule = conduct(plan, 7.0)
    assert state.samples.role == ["first", "warmup"] + ["measured"] * 37
    assert schedule.stopped_by == "iterations"


def test_without_a_number_a_steady_cell_ends_as_it_converges_and_a_noisy_one_with_its_budget() -> (
    None
):
    plan = msgspec.structs.replace(streams.plan(("gpt2",)), iterations=None, budget_s=20.0)
    steady, schedule = conduct(plan, 100.0, noise=0.001)
    assert schedule.stopped_by == "converged" and 30 <= len(steady.samples.kept()) <= 32
    noisy, schedule = conduct(plan, 100.0, noise=0.3)
    assert schedule.stopped_by == "budget"
    assert sum(noisy.samples.e2e_ns[1:]) >= 20e9
    slow, schedule = conduct(plan, 9_000.0)
    assert schedule.stopped_by == "budget" and len(slow.samples.kept()) == 3
