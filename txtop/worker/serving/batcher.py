"""A server that gathers requests into batches: who waits, when a batch starts, who is in it.

No torch here, and no clock but the one that is handed in: it is checked against queueing theory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from txtop.protocol import commands
from txtop.protocol.events import ServerStatus
from txtop.worker.command_queue import QueueItem, ThreadMessage

STATUS_INTERVAL_NS = 100_000_000
IDLE_S = 1.0
MAX_SHOWN = 64

WaitingRequests = deque[commands.Arrive]


class CommandSource(Protocol):
    """Where orders come from: the worker's inbox, or a simulated one."""

    def get(self, timeout_s: float | None) -> QueueItem | None:
        """The next order; null when none came within `timeout_s`."""

    def check(self) -> None:
        """Raises `Cancelled` when serving is to end at once."""

    def accept(self, order: commands.WorkerCommand) -> None:
        """Takes an order back."""


class RequestQueue:
    """The requests that have come and are not served yet, and what an engine in a thread of its
    own has put into the inbox as `answers`."""

    def __init__(self, cell: str, source: CommandSource) -> None:
        self.waiting: WaitingRequests = deque()
        self.answers: deque[Any] = deque()
        self.closed = False
        self._cell, self._source = cell, source

    def take(self, timeout_s: float) -> None:
        """Waits so long for a request, then takes all that have come meanwhile."""
        order = self._source.get(timeout_s)
        while order is not None:
            if isinstance(order, commands.Cancel):
                # Whoever serves gives up; who follows orders says that it did.
                self._source.accept(order)
                break
            if isinstance(order, commands.Arrive) and order.cell == self._cell:
                self.waiting.append(order)
            elif isinstance(order, commands.Close) and order.cell == self._cell:
                # What comes after it is for whoever follows orders.
                self.closed = True
                break
            elif isinstance(order, ThreadMessage):
                self.answers.append(order.item)
            order = self._source.get(0)
        self._source.check()


class Batcher:
    """Starts a batch when `max_batch` wait, or when the first has waited for `max_wait_ns`, or
    when nobody comes any more."""

    def __init__(self, max_batch: int, max_wait_ns: int) -> None:
        self.max_batch, self._max_wait_ns = max_batch, max_wait_ns

    def wait_ns(self, queue: RequestQueue, now_ns: int) -> int | None:
        """How long a batch may still wait for more; 0 to start now, null where nobody waits."""
        if not queue.waiting:
            return None
        if len(queue.waiting) >= self.max_batch or queue.closed:
            return 0
        return max(0, queue.waiting[0].arrival_ns + self._max_wait_ns - now_ns)

    def batch(self, queue: RequestQueue) -> list[commands.Arrive]:
        """The next batch, oldest first."""
        return [queue.waiting.popleft() for _ in range(min(self.max_batch, len(queue.waiting)))]


class StatusReporter:
    """Tells who waits and who runs, at most ten times a second."""

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
        """`running` are the requests at work: number, tokens so far, tokens wanted."""
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
    """Serves until the queue is closed and empty. `run` answers one batch.

    Raises what the queue's source raises to end it.
    """
    while True:
        wait_ns = batcher.wait_ns(queue, now_ns())
        if wait_ns is None and queue.closed:
            lanes.tell(0, [])
            return
        if wait_ns == 0:
            # Those that came while the batch before was running, or just now.
            queue.take(0)
            run(batcher.batch(queue))
            continue
        if lanes.due():
            lanes.tell(len(queue.waiting), [])
        queue.take(IDLE_S if wait_ns is None else wait_ns / 1e9)
