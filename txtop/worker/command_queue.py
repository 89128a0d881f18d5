"""The worker's way in: a thread that reads standard input, a queue that `cancel` overtakes."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from txtop.protocol import commands

_WORK_COMMANDS = (commands.Iterate, commands.Serve, commands.Arrive, commands.Close)


class Cancelled(Exception):
    """The open iteration was given up; nothing of it is reported any more."""


@dataclass(frozen=True)
class ThreadMessage:
    """What another thread of this worker has to say; of no use once nobody waits for it."""

    item: Any


QueueItem = commands.WorkerCommand | str | ThreadMessage


class CommandQueue:
    """Orders as they came. The thread sleeps in read(), so it costs the timed loop nothing."""

    def __init__(self) -> None:
        self._queue: deque[QueueItem] = deque()
        self._ready = threading.Condition()
        self._cancelled = threading.Event()

    def start(self) -> None:
        """Starts reading. The end of standard input ends the process at once."""
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def get(self, timeout_s: float | None) -> QueueItem | None:
        """The next order, the text of a line that was none, what another thread has said, or null
        after `timeout_s`."""
        with self._ready:
            if not self._ready.wait_for(lambda: bool(self._queue), timeout_s):
                return None
            order: QueueItem = self._queue.popleft()
        if isinstance(order, commands.Cancel):
            self._cancelled.clear()
        return order

    def check(self) -> None:
        """Raises `Cancelled` when the open iteration is to be given up."""
        if self._cancelled.is_set():
            raise Cancelled

    def accept(self, order: commands.WorkerCommand | str) -> None:
        """Queues one order; `cancel` removes what of its cell's work still waits."""
        with self._ready:
            if isinstance(order, commands.Cancel):
                self._cancelled.set()
                self._queue = deque(
                    waiting
                    for waiting in self._queue
                    if not (isinstance(waiting, _WORK_COMMANDS) and waiting.cell == order.cell)
                )
            self._queue.append(order)
            self._ready.notify()

    def put(self, item: object) -> None:
        """Queues what another thread of this worker has to say."""
        with self._ready:
            self._queue.append(ThreadMessage(item))
            self._ready.notify()

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            try:
                self.accept(commands.decode_command(line))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                self.accept(f"not an order: {error}")
        os._exit(0)
