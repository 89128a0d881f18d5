"""A real worker process over real pipes, for the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any, TypeVar

from support.waiting import WAIT_S
from support.warm_workers import build_warm_command
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.protocol import codec, commands, events

E = TypeVar("E", bound=events.Event)


COLD = (sys.executable, "-m", "txtop.worker")


class WorkerProcess:
    """A worker, its events as they come, and its standard error.

    It is a warm one (`warm_workers`); a `cold` one is the command itself, which imports torch.
    """

    def __init__(self, name: str = "worker", *, cold: bool = False, **environment: str) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        command = COLD if cold else build_warm_command()
        self.started_ns = time.perf_counter_ns()
        self.process = subprocess.Popen(
            [*command, "--name", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
        )
        self.seen: list[events.AnyEvent] = []
        self.reading = threading.Event()
        self.reading.set()
        self._queue: Queue[bytes] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
            self.reading.wait()
        self._queue.put(b"")

    def send(self, *orders: commands.WorkerCommand) -> None:
        """Write orders."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(commands.encode_command, orders)))
        self.process.stdin.flush()

    def until(
        self, kind: type[E], timeout_s: float = WAIT_S, where: Callable[[E], bool] = lambda _: True
    ) -> E:
        """Return the next event of that kind for which `where` holds; all that come are kept in
        `seen`.
        """
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                raise AssertionError(f"no {kind.__name__} in {timeout_s} s: {self.seen}") from None
            assert line, f"the worker ended before {kind.__name__}: {self.stderr()}"
            event = codec.decode_event(line)
            assert event is not None
            self.seen.append(event)
            if isinstance(event, kind) and where(event):
                return event

    def load(self, cell: Cell, seed: int = 7, allowed: Allowed = Allowed()) -> events.ModelLoaded:  # noqa: B008
        """Load and wait until the worker is ready."""
        self.send(
            commands.LoadModel(cell=cell, started_ns=self.started_ns, seed=seed, allowed=allowed)
        )
        return self.until(events.ModelLoaded)

    def measure(self, cell: Cell, *, measured: int = 2) -> list[events.AnyEvent]:
        """Measure one whole cell: first, one warm-up, measured ones. Return its events, `memory`
        the last.
        """
        start = len(self.seen)
        self.send(
            commands.Prepare(cell=cell),
            commands.Iterate(cell=cell.id, role="first", index=0),
            commands.Iterate(cell=cell.id, role="warmup", index=1),
            commands.Iterate(cell=cell.id, role="measured", index=2, count=measured),
            commands.Finish(cell=cell.id),
        )
        self.until(events.Memory)
        return self.seen[start:]

    def stderr(self) -> str:
        """Return its standard error so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def close(self) -> int:
        """Tell it to end and wait; kill it if it does not."""
        try:
            self.send(commands.Quit())
            return self.process.wait(20)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            return self.process.wait()


def of(kind: type[E], stream: list[Any]) -> list[E]:
    """Return the events of one kind."""
    return [event for event in stream if isinstance(event, kind)]
