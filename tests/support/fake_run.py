"""A conductor in this process with the fake worker over real pipes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import msgspec

from support import fake_worker
from support.waiting import WAIT_S
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.runner.conductor import Conductor
from txtop.runner.control_protocol import decode_request
from txtop.session.writer import create_session_folder
from txtop.state.session import SessionState

FAKE = (sys.executable, fake_worker.__file__)


def plan(*models: str, iterations: int | None = 5, batches: tuple[int, ...] = (1,)) -> Plan:
    cells = expand_matrix(
        models=list(models),
        precisions=["fp32"],
        attention=["sdpa"],
        batch_sizes=list(batches),
        sequence_lengths=[8],
        new_tokens=[4],
        weights="random",
    )
    return Plan(cells=cells, iterations=iterations, warmup=2)


class Run:
    """A conductor in this process; `run` conducts here, `start` on a thread."""

    def __init__(self, folder: Path, run_plan: Plan, **options: object) -> None:
        create_session_folder(folder)
        self.folder = folder
        chosen: dict[str, object] = {"worker": FAKE, "sampler": None, **options}
        self.conductor = Conductor(run_plan, folder, **chosen)  # type: ignore[arg-type]
        self.ended: tuple[str, bool] | None = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    @property
    def state(self) -> SessionState:
        return self.conductor.recorder.state

    def run(self) -> None:
        self.ended = self.conductor.run()

    def start(self) -> Run:
        self.thread.start()
        return self

    def ask(self, do: str, cell: str = "") -> object:
        """Send a request as a screen does, and return the answer."""
        request = decode_request(msgspec.json.encode({"do": do, "who": "a test", "cell": cell}))
        return self.conductor.control.handle(request)

    def join(self) -> tuple[str, bool]:
        self.thread.join(WAIT_S)
        assert self.ended is not None, "the run did not end"
        return self.ended


def statuses(state: SessionState) -> list[str]:
    return [cell.status for cell in state.cells.values()]
