"""The end of a cell whose worker cannot report it: it died, or it does not answer."""

from __future__ import annotations

import re
import signal

from txtop.protocol import events
from txtop.protocol.events import CellFinished
from txtop.runner import child_process
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.serving_cell import ServingRun
from txtop.state.cell import CellState
from txtop.system import oom_killer, process_limits

# The last words of a worker that could not report in time that another rank of its model is gone.
_OF_A_RANK = re.compile(r"rank \d+(:| died )")


def end_silent_worker(
    worker: ChildProcess, state: CellState, schedule: CellSchedule | ServingRun, reason: str
) -> CellFinished:
    """End a worker that does not answer in time, and build the event that ends its cell."""
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
    """Build the event that ends the cell of a dead worker, "oom" or "failed"."""
    code, reason, out_of_memory = diagnose_death(worker)
    hint = "its last lines are in the session" if worker.stderr else ""
    if limits := process_limits.describe_limits():
        hint = f"a process may have {limits} here, and loading may need more: raise that"
    if out_of_memory:
        hint = "a smaller batch, a lower precision, or a higher limit"
    return events.CellFinished(
        t_ns=now_ns(),
        cell=state.cell.id,
        status="oom" if out_of_memory else "failed",
        reason=reason,
        hint=hint,
        phase=_get_phase(state, schedule),
        n=schedule.measured,
        exit_code=code,
        stderr=list(worker.stderr),
    )


def diagnose_death(worker: ChildProcess) -> tuple[int | None, str, bool]:
    """Return (exit code, reason, out of memory) of a dead worker.

    The reason is the OOM killer if it was active, or an allocation that was refused where nothing
    could catch it, else the exit code and the worker's last line.
    """
    code = worker.end()
    if code == -signal.SIGKILL and oom_killer.count_oom_kills() > worker.memory_kills:
        reason = "out of memory: the memory killer of the host or cgroup ended the worker"
        return code, reason, True
    last = worker.stderr[-1] if worker.stderr else ""
    if code == -signal.SIGABRT and "bad_alloc" in last:
        return code, f"out of memory: the worker ended itself ({last.strip()})", True
    if _OF_A_RANK.match(last):
        return code, last, False
    return (
        code,
        f"the worker {child_process.describe_exit(code)}" + (f": {last}" if last else ""),
        False,
    )


def _get_phase(state: CellState, schedule: CellSchedule | ServingRun) -> str:
    return state.phase if state.stage == "loading" else schedule.stage
