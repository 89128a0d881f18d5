"""Views of sessions whose cells differ in several qualities, for the tests of trade-offs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from support import ui_events
from support.load_sweep import Unwatched
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold_all
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.view import View, build_view


def a_plan(**knobs: Any) -> Plan:
    usual: dict[str, Any] = {
        "models": ["gpt2"],
        "precisions": ["fp32"],
        "attention": ["sdpa"],
        "batch_sizes": [1],
        "sequence_lengths": [128],
        "new_tokens": [8],
    }
    return Plan(cells=expand_matrix(**usual | knobs), iterations=4, warmup=1)


def whole(plan: Plan, bad: dict[str, str] | None = None) -> Iterator[AnyEvent]:
    """Return the session with every cell of a plan done, but for those of `bad`."""
    story = Unwatched(plan)
    yield ui_events.header(plan)
    for cell in plan.cells:
        yield from story.cell(cell, (bad or {}).get(cell.id, "ok"))
    yield events.SessionEnded(
        t_ns=story.t_ns, reason="done", wall_s=0, statistics_version=1, sha256=""
    )


def compared(cell: str, reference: str, kld: float) -> events.Fidelity:
    return events.Fidelity(
        t_ns=0, cell=cell, reference=reference, weights="pretrained", positions=2048, kld=kld,
        kld_stderr=0.0, top1=2000, floor=0.0,
    )  # fmt: skip


def tried(stream: Iterator[AnyEvent] | list[AnyEvent]) -> View:
    """Return the view once every final figure is known."""
    state, memo = fold_all(list(stream)), FrameCache()
    for _ in state.cells:
        view = build_view(state, memo=memo)
    return view


@cache
def sweep() -> View:
    """Return three precisions in four batches; int8 has no memory for 8, bf16 gives NaN at 32."""
    plan = a_plan(precisions=["fp32", "bf16", "int8"], batch_sizes=[1, 4, 8, 32])
    by = {(c.precision, c.batch_size): c.id for c in plan.cells}
    stream = list(whole(plan, {by["int8", 8]: "oom"}))
    for event in stream:
        if isinstance(event, events.Iteration) and event.cell == by["bf16", 32]:
            event.invalid = 1
    stream[-1:-1] = [compared(by["int8", 1], by["fp32", 1], 0.004)]
    return tried(stream)


def at_work(batches: int = 3, iterations: int = 4) -> View:
    """Return the session with all but the last cell done, and that one at the given iteration."""
    plan = a_plan(batch_sizes=[2**i for i in range(batches)])
    story = Unwatched(plan)
    stream = [ui_events.header(plan)]
    for cell in plan.cells[:-1]:
        stream += story.cell(cell)
    stream += story.started(plan.cells[-1])
    for i in range(iterations):
        stream += story.iteration(plan.cells[-1], i)
    return tried(stream)
