"""A cell measured without a worker: iterations whose duration is a function of their place."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.plan.plan import Plan
from txtop.protocol.events import ForeignProcess, Telemetry
from txtop.runner.batch_cell import CellSchedule
from txtop.state.cell import CellState
from txtop.state.fold import fold, fold_all
from txtop.state.session import HOST, SessionState

Duration = Callable[[int], float]
Readings = Callable[[float], dict[str, float | None]]


def plan_with(**changed: object) -> Plan:
    free = {"iterations": None, "warmup": None}
    return msgspec.structs.replace(streams.plan(("gpt2",)), **{**free, **changed})  # type: ignore[arg-type]


def conduct(
    plan: Plan,
    e2e_ms: Duration,
    gpu: Readings | None = None,
    *,
    host: Readings | None = None,
    others: tuple[ForeignProcess, ...] = (),
    slowed: Callable[[float], float] = lambda s: 1.0,
    batches: list[int] | None = None,
) -> tuple[SessionState, CellState, CellSchedule]:
    """Answer every block with iterations whose place in the cell gives their duration.

    `gpu` and `host` return a device's telemetry at a time in seconds; they are read five times a
    second. `others` use the host. An iteration that begins at that time takes `slowed` times as
    long. `batches` gets the number of the batch of each measured one.
    """
    header = streams.stream(plan)[0]
    session = fold_all([header])
    session.current = "c001"
    session.working.add("c001")
    state = session.cells["c001"]
    state.load = msgspec.structs.replace(
        streams.load(0, "c001"), device_id="GPU-1" if gpu else None
    )
    at_ns = read_ns = 0
    schedule = CellSchedule(plan, session, state)
    samples = state.samples
    while True:
        block = schedule.next_block()
        for verdict in schedule.judge_blocks(last=block is None):
            # The schedule stamps it with the real clock, which is not this session's.
            verdict.t_ns = header.t_ns + at_ns
            fold(session, verdict)
            block = block or ("measured", 0)
        if block is None:
            return session, state, schedule
        role, count = block
        if batches is not None and role == "measured":
            batches += range(schedule.batch, schedule.batch + count)
        for _ in range(count):
            e2e_ns = round(e2e_ms(len(samples)) * slowed(at_ns / 1e9) * 1e6)
            samples.role.append(role)
            samples.start_ns.append(0)
            samples.e2e_ns.append(e2e_ns)
            samples.ttft_ns.append(e2e_ns // 4)
            samples.encoder_ns.append(-1)
            samples.prompt_tokens.append(-1)
            samples.tokens.append(4)
            samples.gaps_ns.extend([e2e_ns // 4] * 4)
            samples.gaps_from.append(len(samples.gaps_ns))
            at_ns += e2e_ns
            while read_ns <= at_ns:
                t_ns, s = header.t_ns + read_ns, read_ns / 1e9
                if gpu:
                    fold(session, Telemetry(t_ns=t_ns, device="GPU-1", values=gpu(s)))
                if host:
                    values = host(s)
                    sample = Telemetry(t_ns=t_ns, device=HOST, values=values, foreign=others)
                    fold(session, sample)
                read_ns += 200_000_000


def exported(session: SessionState) -> json.CellExport:
    return json.build_export(session, FinalMetrics()).cells[0]
