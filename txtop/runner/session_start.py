"""How a session begins, and how one that was interrupted is gone on with."""

from __future__ import annotations

import os
import time

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan, hash_workload
from txtop.protocol import events
from txtop.protocol.events import Machine
from txtop.runner import machine_info
from txtop.runner.recorder import Recorder, now_ns
from txtop.state.session import SessionState

# Measured, wanted so, or bound to end the same way. Everything else is missing.
SETTLED_STATUSES = ("ok", "skipped", "oom", "rejected")


def begin_session(recorder: Recorder, plan: Plan, session: str, name: str | None) -> None:
    """Records the header, whose time is that of the first segment."""
    recorder.record(
        events.SessionHeader(
            t_ns=now_ns(),
            schema=events.LOG_SCHEMA,
            session=session,
            name=name,
            wall_s=time.time(),
            plan=plan,
            workload_sha256=hash_workload(plan),
            machine=machine_info.read_machine(),
            versions=machine_info.read_versions(),
            seed=plan.seed,
            boot_id=machine_info.read_boot_id(),
            margin=plan.margin,
        )
    )
    _record_segment(recorder)


def reopen_session(recorder: Recorder) -> None:
    """Records that another writer has opened the log, and what has changed since the header."""
    _record_segment(recorder)
    for change in describe_changes(
        recorder.state, machine_info.read_machine(), machine_info.read_versions()
    ):
        recorder.warn(f"not as when the session began: {change}")


def find_missing_cells(state: SessionState) -> frozenset[str]:
    """Ids of the cells without a result: not begun, not finished, cancelled, failed, timed out.

    Arms are compared with each other, so that none of them has a result where one is missing.
    """
    found = frozenset(
        name for name, cell in state.cells.items() if cell.status not in SETTLED_STATUSES
    )
    return frozenset(state.cells) if found and state.plan.margin is not None else found


def find_pending_comparisons(state: SessionState) -> list[tuple[Cell, Cell]]:
    """(reference, cell) of each comparison of outputs that is due and not made yet, those of one
    reference together: of arms at once, in a matrix when all cells of a model are over, and only
    what was measured."""
    plan = state.plan
    if not plan.fidelity_positions:
        return []
    if plan.margin is not None:
        first = plan.cells[0]
        pairs = []
        for arm in plan.cells[1:]:
            best = references.find_most_precise((first, arm))
            pairs.append((best, arm if best is first else first))
    else:
        found = references.find_output_references(plan.cells)
        pairs = [(found[c.id], c) for c in plan.cells if c.id in found and _is_settled(state, c)]
    wanted: list[tuple[Cell, Cell]] = []
    for best, cell in sorted(pairs, key=lambda pair: plan.cells.index(pair[0])):
        known = state.output_of(cell.id, best.id) if plan.margin else state.output_of(cell.id)
        twin = plan.margin is None and any(references.has_same_output(cell, c) for _, c in wanted)
        if known is None and not twin:
            wanted.append((best, cell))
    return wanted


def _is_settled(state: SessionState, cell: Cell) -> bool:
    """Whether `cell` has figures, and its whole model is over and could be loaded."""
    mine = state.cells[cell.id]
    others = [c for c in state.cells.values() if references.differs_in_precision_only(c.cell, cell)]
    return mine.status == "ok" and not mine.invalid and all(c.over for c in others)


def describe_changes(state: SessionState, here: Machine, versions: dict[str, str]) -> list[str]:
    """In words, where this machine and its libraries are not what the session began with."""
    header = state.header
    if header is None:
        return []
    pairs = [(name, header.versions.get(name), now) for name, now in versions.items()]
    for fact in ("hostname", "cpu", "memory_bytes"):
        pairs.append((fact, str(getattr(header.machine, fact)), str(getattr(here, fact))))
    return [f"{name} was {was or 'absent'}, is {now}" for name, was, now in pairs if was != now]


def _record_segment(recorder: Recorder) -> None:
    recorder.record(
        events.Segment(
            t_ns=now_ns(),
            boot_id=machine_info.read_boot_id(),
            wall_s=time.time(),
            pid=os.getpid(),
            torn_bytes=recorder.writer.torn_bytes,
        )
    )
