"""The worker's way out: events on a private descriptor that never blocks."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque

from txtop.protocol import codec, events

STEP_BATCH_NS = 75_000_000
"""Tokens that arrive within this time travel as one `steps` event."""


def claim_stdout() -> int:
    """Takes descriptor 1 for events and turns it to 2: no library's print spoils the stream.

    Opening it anew gives a file description of its own: setting O_NONBLOCK on a duplicate would
    also make the standard input of a terminal non-blocking. A socket cannot be opened so.
    """
    try:
        mine = os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        mine = os.dup(1)
        os.set_blocking(mine, False)
    os.dup2(2, 1)
    return mine


class EventWriter:
    """Writes events to a descriptor as far as it takes them now and keeps the rest in memory.

    Only the main thread uses it. A reader that has gone ends the process.
    """

    def __init__(self, descriptor: int, src: str) -> None:
        self._descriptor = descriptor
        self._src = src
        self._backlog: deque[bytes] = deque()

    @property
    def pending(self) -> bool:
        """Whether lines wait for the reader."""
        return bool(self._backlog)

    def send(self, event: events.AnyEvent) -> None:
        """Queues one event and writes what fits; never blocks."""
        event.src = self._src
        self._backlog.append(codec.encode_event(event))
        self.flush()

    def flush(self) -> None:
        """Writes as much of the backlog as the descriptor takes without blocking."""
        try:
            while self._backlog:
                line = self._backlog[0]
                written = os.write(self._descriptor, line)
                if written < len(line):
                    self._backlog[0] = line[written:]
                else:
                    self._backlog.popleft()
        except BlockingIOError:
            return
        except OSError:
            os._exit(1)

    def drain(self, timeout_s: float) -> None:
        """Waits up to `timeout_s` for the reader to take the backlog; not for timed code."""
        end = time.monotonic() + timeout_s
        while self._backlog and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                select.select([], [self._descriptor], [], left)
            self.flush()
