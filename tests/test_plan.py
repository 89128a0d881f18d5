"""The matrix a command line spells, and the rule that ends a cell."""

from __future__ import annotations

import math

import msgspec
import pytest
import streams

from txtop.errors import UsageError
from txtop.options.presets import build_quick_plan
from txtop.options.run import RunOptions, build_plan
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan, hash_workload
from txtop.protocol import codec
from txtop.runner.batch_cell import CellSchedule
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.stopping import decide_stop


def test_cells_that_share_weights_stand_together_and_none_is_doubled() -> None:
    plan = build_plan(
        RunOptions(
            models=["gpt2", "t5-small", "gpt2"],
            precisions=["fp32", "bf16"],
            batch_sizes=[1, 8],
            sequence_lengths=[32],
        )
    )
    assert [c.short for c in plan.cells] == [
        f"{m} {p} batch {b} length 32"
        for m in ("gpt2", "t5-small")
        for p in ("fp32", "bf16")
        for b in (1, 8)
    ]
    assert [len(group) for group in plan.groups] == [2, 2, 2, 2]
    assert [c.id for c in plan.cells] == [f"c{i:03d}" for i in range(1, 9)]


def test_defaults_and_the_quick_preset() -> None:
    plan = build_plan(RunOptions())
    (cell,) = plan.cells
    assert (cell.model, cell.precision, cell.attention) == ("gpt2", "fp32", "sdpa")
    assert (cell.batch_size, cell.sequence_length, cell.new_tokens) == (1, 128, 32)
    assert plan.iterations is None and plan.budget_s == 30 and plan.warmup is None
    assert build_plan(RunOptions(preset="quick")) == build_quick_plan()
    assert build_quick_plan().iterations == 10 and [
        c.precision for c in build_quick_plan().cells
    ] == ["fp32", "bf16"]


def test_what_is_asked_overrides_the_preset() -> None:
    plan = build_plan(RunOptions(preset="quick", models=["t5-small"], budget_s=5.0))
    assert {c.model for c in plan.cells} == {"t5-small"}
    assert plan.iterations is None and plan.budget_s == 5.0


@pytest.mark.fault(37)
def test_a_prompt_longer_than_the_context_names_what_fits() -> None:
    with pytest.raises(UsageError, match="of at most 992"):
        build_plan(RunOptions(sequence_lengths=[993]))
    build_plan(RunOptions(sequence_lengths=[992]))
    build_plan(RunOptions(models=["bert-base-uncased"], sequence_lengths=[512]))
    build_plan(RunOptions(models=["t5-small"], sequence_lengths=[4096]))


def test_the_workload_hash_is_blind_to_threads_and_sees_the_rest() -> None:
    def of(**changed: object) -> str:
        base = expand_matrix(
            models=["gpt2"],
            precisions=["fp32"],
            attention=["sdpa"],
            batch_sizes=[1],
            sequence_lengths=[8],
            new_tokens=[4],
        )
        cell = msgspec.structs.replace(base[0], **changed)
        return hash_workload(Plan(cells=(cell,)))

    assert of() == of(threads=3) == of(id="other") == of(device="cpu")
    different = [of(batch_size=2), of(precision="bf16"), of(new_tokens=5), of(weights="random")]
    assert len({of(), *different}) == 5


@pytest.mark.parametrize(
    ("n", "measured_s", "spent_s", "widths", "iterations", "expected"),
    [
        (4, 100, 100, [], 5, None),
        (5, 0.1, 0.1, [(math.inf, 0.01)], 5, "iterations"),
        (9, 100, 20, [], None, None),
        (10, 2.9, 3, [(0.001, 0.01)], None, None),
        (10, 3.0, 3, [(0.001, 0.01)], None, "converged"),
        (10, 3.0, 3, [(0.001, 0.01), (0.04, 0.03)], None, None),
        (2, 40, 50, [], None, None),
        (3, 40, 50, [(math.inf, 0.01)], None, "budget"),
    ],
)
def test_when_a_cell_is_done(
    n: int,
    measured_s: float,
    spent_s: float,
    widths: list[tuple[float, float]],
    iterations: int | None,
    expected: str | None,
) -> None:
    said = decide_stop(
        n=n,
        measured_s=measured_s,
        spent_s=spent_s,
        budget_s=30,
        iterations=iterations,
        half_widths=widths,
    )
    assert said == expected


def conduct(plan: Plan, e2e_ms: float, noise: float = 0.0) -> tuple[CellState, CellSchedule]:
    """Answers every block of a course with iterations of `e2e_ms`, alternating by `noise`."""
    state = CellState(plan.cells[0])
    state.load = streams.load(0, "c001")
    course = CellSchedule(plan, SessionState(), state)
    while (block := course.next_block()) is not None:
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
            samples.tokens.append(4)
            samples.gaps_from.append(0)
    return state, course


def test_a_fixed_number_is_measured_exactly_after_first_and_warm_up() -> None:
    plan = streams.plan(("gpt2",), iterations=37)
    state, course = conduct(plan, 7.0)
    assert state.samples.role == ["first", "warmup"] + ["measured"] * 37
    assert course.stopped_by == "iterations"


def test_without_a_number_a_steady_cell_ends_as_it_converges_and_a_noisy_one_with_its_budget() -> (
    None
):
    plan = msgspec.structs.replace(streams.plan(("gpt2",)), iterations=None, budget_s=20.0)
    steady, course = conduct(plan, 100.0, noise=0.001)
    assert course.stopped_by == "converged" and 30 <= len(steady.samples.kept()) <= 32
    noisy, course = conduct(plan, 100.0, noise=0.3)
    assert course.stopped_by == "budget"
    assert sum(noisy.samples.e2e_ns[1:]) >= 20e9
    slow, course = conduct(plan, 9_000.0)
    assert course.stopped_by == "budget" and len(slow.samples.kept()) == 3


def test_events_keep_what_they_carry() -> None:
    for event in streams.stream():
        assert codec.decode_event(codec.encode_event(event)) == event
