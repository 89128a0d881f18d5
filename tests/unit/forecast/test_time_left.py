"""Progress of a cell at work, and the time that is left."""

from __future__ import annotations

import msgspec

from support import ab_sessions, streams
from txtop.forecast.time_left import compute_progress
from txtop.options import ab_plan
from txtop.options.ab_plan import ABOptions
from txtop.protocol import events
from txtop.state.fold import fold_all


def test_an_ab_of_a_number_of_blocks_is_as_far_as_they_are() -> None:
    arms = ({"precision": "fp32"}, {"precision": "bf16"})
    shared = {"new_tokens": 4, "sequence_length": 8}
    plan = ab_plan.build_ab_plan("gpt2", arms, shared, ABOptions(blocks=4))
    script = ab_sessions.Script(plan).begin()
    shares = []
    for _ in range(3):
        state = fold_all(script.made)
        shares.append(compute_progress(state.cells["A"], state))
        script.blocks(1, 1.2)
    script.block((30.0, 20.0), kept=False)
    state = fold_all(script.made)
    assert [*shares, compute_progress(state.cells["B"], state)] == [0.0, 0.25, 0.5, 0.75]


def test_iterations_that_are_repeated_are_no_progress() -> None:
    plan = streams.plan(("gpt2",), iterations=10)
    made = [e for e in streams.stream(plan) if not isinstance(e, events.SessionEnded)]
    cell = plan.cells[0].id
    made = made[: next(i for i, e in enumerate(made) if isinstance(e, events.CellFinished))]
    whole = fold_all(made)
    block = events.DisturbedBlock(
        t_ns=made[-1].t_ns, cell=cell, first=2, count=6, kept=False, reasons=["clock moved"]
    )
    repeated = fold_all([*map(msgspec.structs.replace, made), block])
    assert compute_progress(whole.cells[cell], whole) == 1.0
    assert compute_progress(repeated.cells[cell], repeated) == 0.5
