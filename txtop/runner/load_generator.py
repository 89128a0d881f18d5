"""The load generator of a serving cell: a thread of the runner, which no model can slow down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from txtop.runner.recorder import now_ns
from txtop.units import NS_PER_S

MAX_WAITING = 1000

SendRequest = Callable[[int, int, int], None]


class LoadGenerator(threading.Thread):
    """Send requests, each at its arrival time (open loop) or one per answer (closed loop).

    `send(index, arrival_ns, sent_ns)` is called on this thread. With `arrivals_ns`, times from the
    start, requests arrive whatever the server does, but never more than 1,000 are open: a queue
    that grows without end would only fill the memory. Without it, `clients` requests are open at
    any time. `held_back` is set once an arrival had to wait for that limit.
    """

    def __init__(
        self, send: SendRequest, requests: int, arrivals_ns: Sequence[int] | None, clients: int
    ) -> None:
        super().__init__(name="offered load", daemon=True)
        self._send, self._requests = send, requests
        self._arrivals_ns, self._clients = arrivals_ns, clients
        self._changed = threading.Condition()
        self.answers = 0
        self._paused_at_ns: int | None = None
        self._stopped = False
        self._started_ns = 0
        self.sent = 0
        self.held_back = False

    def run(self) -> None:
        """Send every request, or until `stop`."""
        self._started_ns = now_ns()
        while self.sent < self._requests:
            arrival_ns = self._wait_for_next()
            if arrival_ns is None:
                return
            self._send(self.sent, arrival_ns, now_ns())
            self.sent += 1

    def count_answer(self) -> None:
        """Count one more answered request."""
        with self._changed:
            self.answers += 1
            self._changed.notify()

    def pause(self) -> None:
        """Send nothing until `resume`; later arrivals are postponed by the pause."""
        with self._changed:
            if self._paused_at_ns is None:
                self._paused_at_ns = now_ns()
            self._changed.notify()

    def resume(self) -> float:
        """Continue after a pause. Return its length in seconds, 0 without one."""
        with self._changed:
            if self._paused_at_ns is None:
                return 0.0
            paused_ns = now_ns() - self._paused_at_ns
            self._paused_at_ns = None
            self._started_ns += paused_ns
            self._changed.notify()
        return paused_ns / NS_PER_S

    def stop(self) -> None:
        """End the thread. Nothing is sent after this returns."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self.is_alive():
            self.join()

    def _wait_for_next(self) -> int | None:
        """Wait until the next request is due. Return its arrival time, None if stopped."""
        with self._changed:
            while not self._stopped:
                wait_ns = self._compute_wait_ns()
                if wait_ns == 0:
                    if self._arrivals_ns is None:
                        return now_ns()
                    return self._started_ns + self._arrivals_ns[self.sent]
                self._changed.wait(None if wait_ns is None else wait_ns / NS_PER_S)
        return None

    def _compute_wait_ns(self) -> int | None:
        """Return the time to wait, 0 to send now, None to wait until something changes."""
        if self._paused_at_ns is not None:
            return None
        if self._arrivals_ns is None:
            return 0 if self.sent - self.answers < self._clients else None
        if self.sent - self.answers >= MAX_WAITING:
            self.held_back = True
            return None
        return max(0, self._started_ns + self._arrivals_ns[self.sent] - now_ns())
