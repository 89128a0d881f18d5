"""Ask a worker for something about a measured cell, which costs the cell nothing if it fails."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.protocol.commands import WorkerCommand
from txtop.protocol.events import AnyEvent
from txtop.runner import worker_failure
from txtop.runner.child_process import ChildProcess
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied


def ask_about(
    client: WorkerClient,
    worker: ChildProcess,
    command: WorkerCommand,
    cell: Cell,
    answer: type[AnyEvent],
) -> str:
    """Ask `worker` within the plan's time limit. Return why there is no `answer`, else ""."""
    client.start_deadline(client.plan.timeout_s)
    try:
        client.wait_while_paused(worker)
        client.ask(worker, command, cell, answer, killable=True)
        return ""
    except CellEnded as over:
        reason = over.reason or over.status
    except WorkerDied:
        reason = worker_failure.diagnose_death(worker)[1]
    if client.control.skip:
        client.control.skip, reason = False, "skipped"
    return reason
