"""The link of a screen to the control socket of a runner."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from txtop.protocol.events import AnyEvent
    from txtop.runner.control_client import RunnerStatus


STATUS_EVERY_S = 1.0


class RunnerHandle(Protocol):
    """The control socket of a runner."""

    def status(self) -> RunnerStatus | None: ...

    def send(self, action: str, cell: str = "") -> bool: ...

    def tail(self, after: int) -> list[AnyEvent]: ...


class RunnerLink:
    """A thread that talks to a runner, so that a runner that hangs delays nothing else.

    `status` is the last answer, `silent_s` the time since it.
    """

    def __init__(self, control: RunnerHandle, on_refused: Callable[[str], None]) -> None:
        self.status: RunnerStatus | None = None
        self._control = control
        self._on_refused = on_refused
        self._heard_s = time.monotonic()
        self._requests: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self._heard_s

    def send(self, action: str, cell: str = "") -> None:
        """Ask the runner for pause, resume, a skip of `cell`, stop or a marker; return at once."""
        self._requests.put((action, cell))

    def close(self) -> None:
        self._requests.put(None)

    def join(self, seconds: float) -> None:
        """Wait until every request was sent, after `close`."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            try:
                request = self._requests.get(timeout=STATUS_EVERY_S)
            except queue.Empty:
                self._ask()
                continue
            if request is None:
                return
            if not self._control.send(*request):
                self._on_refused(request[0])

    def _ask(self) -> None:
        self.status = self._control.status()
        if self.status is not None:
            self._heard_s = time.monotonic()


def open_runner_handle(path: Path) -> RunnerHandle:
    """Open the control socket of a session; imported late, since the first picture needs none."""
    from txtop.runner.control_client import ControlClient

    return ControlClient(path)
