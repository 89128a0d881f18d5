"""How a session begins, and how one that was interrupted is gone on with."""

from __future__ import annotations

import os
import time

from txtop import events
from txtop.events import Machine
from txtop.plan import Plan, workload_hash
from txtop.runner import machine
from txtop.runner.recorder import Recorder, now_ns
from txtop.state import SessionState

# Measured, wanted so, or bound to end the same way. Everything else is missing.
SETTLED = ("ok", "skipped", "oom", "rejected")


def begin(recorder: Recorder, plan: Plan, session: str, name: str | None) -> None:
    """Records the header, whose time is that of the first segment."""
    recorder.record(
        events.Header(
            t_ns=now_ns(),
            schema=events.SCHEMA,
            session=session,
            name=name,
            wall_s=time.time(),
            plan=plan,
            workload_sha256=workload_hash(plan),
            machine=machine.machine(),
            versions=machine.versions(),
            seed=plan.seed,
            boot_id=machine.boot_id(),
            margin=plan.margin,
        )
    )
    _segment(recorder)


def go_on(recorder: Recorder) -> None:
    """Records that another writer has opened the log, and what has changed since the header."""
    _segment(recorder)
    for change in changes(recorder.state, machine.machine(), machine.versions()):
        recorder.warn(f"not as when the session began: {change}")


def missing(state: SessionState) -> frozenset[str]:
    """Ids of the cells without a result: not begun, not finished, cancelled, failed, timed out.

    Arms are compared with each other, so that none of them has a result where one is missing.
    """
    found = frozenset(name for name, cell in state.cells.items() if cell.status not in SETTLED)
    return frozenset(state.cells) if found and state.plan.margin is not None else found


def changes(state: SessionState, here: Machine, versions: dict[str, str]) -> list[str]:
    """In words, where this machine and its libraries are not what the session began with."""
    header = state.header
    if header is None:
        return []
    pairs = [(name, header.versions.get(name), now) for name, now in versions.items()]
    for fact in ("hostname", "cpu", "memory_bytes"):
        pairs.append((fact, str(getattr(header.machine, fact)), str(getattr(here, fact))))
    return [f"{name} was {was or 'absent'}, is {now}" for name, was, now in pairs if was != now]


def _segment(recorder: Recorder) -> None:
    recorder.record(
        events.Segment(
            t_ns=now_ns(),
            boot_id=machine.boot_id(),
            wall_s=time.time(),
            pid=os.getpid(),
            torn_bytes=recorder.writer.torn_bytes,
        )
    )
