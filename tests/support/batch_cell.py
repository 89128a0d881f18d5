"""A cell measured without a worker: iterations whose duration is a function of their place."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.plan.plan import Plan
from txtop.protocol.events import Telemetry
from txtop.runner.batch_cell import CellSchedule
from txtop.state.cell import CellState
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState

Duration = Callable[[int], float]


def plan_with(**changed: object) -> Plan:
    free = {"iterations": None, "warmup": None}
    return msgspec.structs.replace(streams.plan(("gpt2",)), **{**free, **changed})  # type: ignore[arg-type]


def conduct(
    plan: Plan, e2e_ms: Duration, gpu: Callable[[float], dict[str, float | None]] | None = None
) -> tuple[SessionState, CellState, CellSchedule]:
    """Answer every block with iterations whose place in the cell gives their duration.

    `gpu` returns a GPU's telemetry at a time in seconds; it is read five times a second.
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
            fold(session, verdict)
            block = block or ("measured", 0)
        if block is None:
            return session, state, schedule
        role, count = block
        for _ in range(count):
            e2e_ns = round(e2e_ms(len(samples)) * 1e6)
            samples.role.append(role)
            samples.start_ns.append(0)
            samples.e2e_ns.append(e2e_ns)
            samples.ttft_ns.append(e2e_ns // 4)
            samples.encoder_ns.append(-1)
            samples.tokens.append(4)
            samples.gaps_ns.extend([e2e_ns // 4] * 4)
            samples.gaps_from.append(len(samples.gaps_ns))
            at_ns += e2e_ns
            while gpu and read_ns <= at_ns:
                sample = Telemetry(
                    t_ns=header.t_ns + read_ns, device="GPU-1", values=gpu(read_ns / 1e9)
                )
                fold(session, sample)
                read_ns += 200_000_000


def exported(session: SessionState) -> json.CellExport:
    return json.build_export(session, FinalMetrics()).cells[0]
