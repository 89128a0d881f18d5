"""The input of the worker: a thread reads commands from standard input into a queue.

`cancel` overtakes what waits. The thread of a continuous server puts its outputs here too.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from txtop.protocol import commands

# The commands of a cell that `cancel` removes from the queue.
_WORK_COMMANDS = (commands.Iterate, commands.Serve, commands.Arrive, commands.Close)


class Cancelled(Exception):
    """The open iteration was cancelled; it is not reported."""


@dataclass(frozen=True)
class ThreadMessage:
    """An item that another thread of this worker put into the queue for the main loop."""

    item: Any


QueueItem = commands.WorkerCommand | str | ThreadMessage


class CommandQueue:
    """The commands that wait, oldest first.

    The reading thread sleeps in read(), so it costs the timed loop nothing.
    """

    def __init__(self) -> None:
        self._queue: deque[QueueItem] = deque()
        self._ready = threading.Condition()
        self._cancelled = threading.Event()
        self.is_held = False
        """Other ranks run the same call, so that it has to run to its end."""

    def start(self) -> None:
        """Start the reading thread. It ends the process at the end of standard input."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def get(self, timeout_s: float | None) -> QueueItem | None:
        """Wait for the next item and return it, or `None` after `timeout_s`.

        An item is a command, the error text for a line that is not a command, or a message of
        another thread.
        """
        with self._ready:
            if not self._ready.wait_for(lambda: bool(self._queue), timeout_s):
                return None
            command: QueueItem = self._queue.popleft()
        if isinstance(command, commands.Cancel):
            self._cancelled.clear()
        return command

    def check(self) -> None:
        """Raise `Cancelled` if a `cancel` has come that `get` has not returned yet.

        It may be called in the middle of a call, of which nothing is reported then.
        """
        if not self.is_held:
            self.check_between()

    def check_between(self) -> None:
        """Raise `Cancelled` as `check` does, between two calls."""
        if self._cancelled.is_set():
            raise Cancelled

    def accept(self, command: commands.WorkerCommand | str) -> None:
        """Queue a command or an error text. `cancel` first removes the waiting work of its cell."""
        with self._ready:
            if isinstance(command, commands.Cancel):
                self._cancelled.set()
                self._queue = deque(
                    waiting
                    for waiting in self._queue
                    if not (isinstance(waiting, _WORK_COMMANDS) and waiting.cell == command.cell)
                )
            self._queue.append(command)
            self._ready.notify()

    def put(self, item: object) -> None:
        """Queue `item` as a message. Any thread of this worker may call this."""
        with self._ready:
            self._queue.append(ThreadMessage(item))
            self._ready.notify()

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            try:
                self.accept(commands.decode_command(line))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                self.accept(f"not a command: {error}")
        os._exit(0)
