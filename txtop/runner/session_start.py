"""Start a session, or resume an interrupted one: its header, and what has changed since."""

from __future__ import annotations

import os
import time
from dataclasses import astuple

from txtop.forecast.memory import forecast_memory
from txtop.forecast.memory_fit import runs_on_gpu
from txtop.models import model_config
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan, hash_workload
from txtop.protocol import events
from txtop.protocol.events import Machine
from txtop.runner import machine_info
from txtop.runner.recorder import Recorder, now_ns
from txtop.state.session import SessionState


def begin_session(recorder: Recorder, plan: Plan, session: str, name: str | None) -> None:
    """Record the header, the first segment, and the plan's note."""
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
            expected={cell.id: _expect(cell) for cell in plan.cells},
        )
    )
    _record_segment(recorder)
    if plan.note:
        recorder.record(events.Log(t_ns=now_ns(), text=plan.note))


def _expect(cell: Cell) -> events.Expected:
    """Return what is known of `cell`: whoever reads the recording may not have the model."""
    forecast = forecast_memory(cell, on_gpu=runs_on_gpu(cell.device))
    return events.Expected(
        family=model_config.find_family(cell.model),
        memory=None if forecast is None else astuple(forecast),
    )


def reopen_session(recorder: Recorder) -> None:
    """Record a new segment, and a warning for each thing that has changed since the header."""
    _record_segment(recorder)
    for change in describe_changes(
        recorder.state, machine_info.read_machine(), machine_info.read_versions()
    ):
        recorder.warn(f"not as when the session began: {change}")


def describe_changes(state: SessionState, here: Machine, versions: dict[str, str]) -> list[str]:
    """Describe each fact of the machine and its libraries that has changed since the header."""
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
