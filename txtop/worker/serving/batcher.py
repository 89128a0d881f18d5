"""The queue of waiting requests, and the rule that forms batches from it.

It is apart from the servers because it needs neither torch nor the wall clock: the tests run it on
a simulated clock against queueing theory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from txtop.protocol import commands
from txtop.protocol.events import ServerStatus
from txtop.units import NS_PER_S
from txtop.worker.command_queue import QueueItem, ThreadMessage

STATUS_INTERVAL_NS = 100_000_000
IDLE_S = 1.0
"""The longest wait for a request before the next `lanes` event."""
MAX_SHOWN = 64
"""The most running requests that one `lanes` event lists."""

WaitingRequests = deque[commands.Arrive]


class CommandSource(Protocol):
    """The source of commands: the queue of the worker, or a simulated one."""

    def get(self, timeout_s: float | None) -> QueueItem | None:
        """Return the next item, or `None` if none came within `timeout_s`."""

    def check(self) -> None:
        """Raise `Cancelled` if serving is to end at once."""

    def accept(self, command: commands.WorkerCommand) -> None:
        """Put a command back."""


class RequestQueue:
    """The requests of a cell that wait to be served.

    `answers` holds what an engine in a thread of its own has put into the source; `closed` is set
    once no more requests come.
    """

    def __init__(self, cell: str, source: CommandSource) -> None:
        self.waiting: WaitingRequests = deque()
        self.answers: deque[Any] = deque()
        self.closed = False
        self._cell, self._source = cell, source

    def take(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for an item, then take all that have come.

        Raises `Cancelled`.
        """
        command = self._source.get(timeout_s)
        while command is not None:
            if isinstance(command, commands.Cancel):
                # The server ends here; the main loop gets the command again and answers it.
                self._source.accept(command)
                break
            if isinstance(command, commands.Arrive) and command.cell == self._cell:
                self.waiting.append(command)
            elif isinstance(command, commands.Close) and command.cell == self._cell:
                # Commands after `close` are for the main loop.
                self.closed = True
                break
            elif isinstance(command, ThreadMessage):
                self.answers.append(command.item)
            command = self._source.get(0)
        self._source.check()


class Batcher:
    """The rule that starts a batch.

    A batch starts when `max_batch` requests wait, when the oldest has waited for `max_wait_ns`, or
    when the queue is closed.
    """

    def __init__(self, max_batch: int, max_wait_ns: int) -> None:
        self.max_batch, self._max_wait_ns = max_batch, max_wait_ns

    def wait_ns(self, queue: RequestQueue, now_ns: int) -> int | None:
        """Return the time until the next batch starts: 0 for now, `None` if no request waits."""
        if not queue.waiting:
            return None
        if len(queue.waiting) >= self.max_batch or queue.closed:
            return 0
        return max(0, queue.waiting[0].arrival_ns + self._max_wait_ns - now_ns)

    def batch(self, queue: RequestQueue) -> list[commands.Arrive]:
        """Take the next batch from `queue`, oldest request first."""
        return [queue.waiting.popleft() for _ in range(min(self.max_batch, len(queue.waiting)))]


class StatusReporter:
    """Sends `lanes` events: the requests that wait and those that run.

    Callers ask `due` first, which limits the events to ten a second.
    """

    def __init__(
        self, cell: str, slots: int, tell: Callable[[ServerStatus], None], now_ns: Callable[[], int]
    ) -> None:
        self._cell, self._slots, self._tell, self._now_ns = cell, slots, tell, now_ns
        self._told_ns = 0

    def due(self) -> bool:
        return self._now_ns() - self._told_ns >= STATUS_INTERVAL_NS

    def tell(
        self, waiting: int, running: Sequence[tuple[int, int, int]], kv_used: float | None = None
    ) -> None:
        """Send the status. `running` lists (number, tokens so far, tokens to make) per request."""
        self._told_ns = self._now_ns()
        self._tell(
            ServerStatus(
                t_ns=self._told_ns,
                cell=self._cell,
                waiting=waiting,
                running=list(running[:MAX_SHOWN]),
                slots=self._slots,
                kv_used=kv_used,
            )
        )


def serve_batches(
    queue: RequestQueue,
    batcher: Batcher,
    lanes: StatusReporter,
    run: Callable[[list[commands.Arrive]], None],
    now_ns: Callable[[], int],
) -> None:
    """Serve until the queue is closed and empty. `run` answers one batch.

    Raises `Cancelled`, and whatever `run` raises.
    """
    while True:
        wait_ns = batcher.wait_ns(queue, now_ns())
        if wait_ns is None and queue.closed:
            lanes.tell(0, [])
            return
        if wait_ns == 0:
            # Requests may have come while the previous batch ran.
            queue.take(0)
            run(batcher.batch(queue))
            continue
        if lanes.due():
            lanes.tell(len(queue.waiting), [])
        queue.take(IDLE_S if wait_ns is None else wait_ns / NS_PER_S)
