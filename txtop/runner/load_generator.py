"""The load that is offered to a server: a thread of the runner, which no model can slow down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from txtop.runner.recorder import now_ns
from txtop.units import NS_PER_S

MAX_WAITING = 1000

SendRequest = Callable[[int, int, int], None]


class LoadGenerator(threading.Thread):
    """Lets requests go, each at its time, or one for each that is answered.

    `send(index, arrival_ns, sent_ns)` is called on this thread. With `arrivals_ns`, times from the
    start, they come whatever the server does; but never are more than 1,000 open, since a queue
    that grows without end would only eat the memory. Without, so many `clients` ask.
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
        """Until everything was sent, or `stop`."""
        self._started_ns = now_ns()
        while self.sent < self._requests:
            arrival_ns = self._wait_for_next()
            if arrival_ns is None:
                return
            self._send(self.sent, arrival_ns, now_ns())
            self.sent += 1

    def count_answer(self) -> None:
        """One more was answered."""
        with self._changed:
            self.answers += 1
            self._changed.notify()

    def pause(self) -> None:
        """Nothing comes until `resume`; what was to come then comes so much later."""
        with self._changed:
            if self._paused_at_ns is None:
                self._paused_at_ns = now_ns()
            self._changed.notify()

    def resume(self) -> float:
        """Goes on. Returns for how many seconds it was paused."""
        with self._changed:
            if self._paused_at_ns is None:
                return 0.0
            paused_ns = now_ns() - self._paused_at_ns
            self._paused_at_ns = None
            self._started_ns += paused_ns
            self._changed.notify()
        return paused_ns / NS_PER_S

    def stop(self) -> None:
        """Nothing comes any more, once this returns."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self.is_alive():
            self.join()

    def _wait_for_next(self) -> int | None:
        """Waits for the next request; returns when it was meant to come, null to end."""
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
        """0 to send now, null to wait until something changes."""
        if self._paused_at_ns is not None:
            return None
        if self._arrivals_ns is None:
            return 0 if self.sent - self.answers < self._clients else None
        if self.sent - self.answers >= MAX_WAITING:
            self.held_back = True
            return None
        return max(0, self._started_ns + self._arrivals_ns[self.sent] - now_ns())
