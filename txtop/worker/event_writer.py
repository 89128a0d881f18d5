"""The output of the worker: events on a private descriptor that never blocks.

The timed loop sends from here, so a slow reader must not delay it.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque

from txtop.protocol import codec, events

STEP_BATCH_NS = 75_000_000
"""Tokens that arrive within this time are sent as one `steps` event."""


def claim_stdout() -> int:
    """Return a private descriptor for events, and redirect descriptor 1 to standard error.

    A print() of a library then cannot corrupt the stream. The descriptor is opened through /proc
    to get a file description of its own: O_NONBLOCK on a duplicate would also make the standard
    input of a terminal non-blocking. A socket cannot be opened that way and is duplicated.
    """
    try:
        mine = os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        mine = os.dup(1)
        os.set_blocking(mine, False)
    os.dup2(2, 1)
    return mine


class EventWriter:
    """Writes events to a non-blocking descriptor and keeps what does not fit in memory.

    Only the main thread uses it. It ends the process when the reader has gone.
    """

    def __init__(self, descriptor: int, src: str) -> None:
        self._descriptor = descriptor
        self._src = src
        self._backlog: deque[bytes] = deque()

    @property
    def pending(self) -> bool:
        """Return True if lines wait for the reader."""
        return bool(self._backlog)

    def send(self, event: events.AnyEvent) -> None:
        """Queue one event and write what fits, without blocking."""
        event.src = self._src
        self._backlog.append(codec.encode_event(event))
        self.flush()

    def flush(self) -> None:
        """Write as much of the backlog as the descriptor takes without blocking."""
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
        """Wait up to `timeout_s` for the reader to take the backlog. Not for timed code."""
        end = time.monotonic() + timeout_s
        while self._backlog and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                select.select([], [self._descriptor], [], left)
            self.flush()


class RankWriter(EventWriter):
    """Writes what rank 0 wants of another rank: its memory, and what it failed of."""

    def send(self, event: events.AnyEvent) -> None:
        """Send `event` if rank 0 wants it."""
        failed: str = getattr(event, "failed", "")
        if failed or isinstance(event, events.Memory | events.CellFinished | events.CellRejected):
            super().send(event)
