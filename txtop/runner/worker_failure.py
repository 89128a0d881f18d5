"""How a cell ends whose worker cannot say so itself: it died, or it does not answer."""

from __future__ import annotations

import signal

from txtop.protocol import events
from txtop.protocol.events import CellFinished
from txtop.runner import child_process
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.serving_cell import ServingRun
from txtop.state.cell import CellState
from txtop.system import oom_killer


def end_silent_worker(
    worker: ChildProcess, state: CellState, schedule: CellSchedule | ServingRun, reason: str
) -> CellFinished:
    """It does not answer in time: TERM, then KILL."""
    worker.signal(signal.SIGTERM)
    if worker.end() is None:
        reason += f"; its process {worker.process.pid} cannot be killed"
    return events.CellFinished(
        t_ns=now_ns(),
        cell=state.cell.id,
        status="timeout",
        reason=reason,
        hint="a longer --timeout, or less work in a cell",
        phase=_get_phase(state, schedule),
        n=schedule.measured,
        stderr=list(worker.stderr),
    )


def build_death_event(
    worker: ChildProcess, state: CellState, schedule: CellSchedule | ServingRun
) -> CellFinished:
    """It is gone: by a memory killer, or for a reason that its exit code and last line tell."""
    code, reason, starved = diagnose_death(worker)
    hint = "the run goes on with a fresh worker; its last lines are in the session"
    if starved:
        hint = "a smaller batch, a lower precision, or a higher limit"
    return events.CellFinished(
        t_ns=now_ns(),
        cell=state.cell.id,
        status="oom" if starved else "failed",
        reason=reason,
        hint=hint,
        phase=_get_phase(state, schedule),
        n=schedule.measured,
        exit_code=code,
        stderr=list(worker.stderr),
    )


def diagnose_death(worker: ChildProcess) -> tuple[int | None, str, bool]:
    """Exit code of a worker that is gone, why in words, and whether a memory killer ended it."""
    code = worker.end()
    if code == -signal.SIGKILL and oom_killer.count_oom_kills() > worker.memory_kills:
        reason = "out of memory: the memory killer of the host or cgroup ended the worker"
        return code, reason, True
    last = worker.stderr[-1] if worker.stderr else ""
    return (
        code,
        f"the worker {child_process.describe_exit(code)}" + (f": {last}" if last else ""),
        False,
    )


def _get_phase(state: CellState, schedule: CellSchedule | ServingRun) -> str:
    return state.phase if state.stage == "loading" else schedule.stage
