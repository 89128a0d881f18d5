"""A window of steps within one call, which is watched alone: the rest of the call is not run."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from txtop.worker.tasks.task import ModelInputs, Task


class _WindowDone(Exception):
    """The window of steps is complete; the rest of the call is not needed."""


class StepWindow:
    """The steps of one call from token `first` on, or the prefill if `count` is 0.

    `times_ns` are the times they took. With a `watch` it is started and stopped around the window
    alone; `mark` is called at each border of a step.
    """

    def __init__(
        self,
        first: int,
        count: int,
        check: Callable[[], None],
        watch: Any = None,
        mark: Callable[[], None] | None = None,
    ) -> None:
        self._first, self._last = (first, first + count) if count else (-1, 0)
        self._check = check
        self._watch = watch
        self._mark = mark or (lambda: None)
        self._token = -1
        self._running = False
        self._from_ns = 0
        self.times_ns: list[int] = []

    @property
    def elapsed_ns(self) -> int:
        """Return the time of all steps together."""
        return sum(self.times_ns)

    def run(self, task: Task, inputs: ModelInputs) -> None:
        """Run the call as far as the window goes."""
        try:
            if self._first < 0:
                self._open()
            task.iterate(inputs, False, None, self._step)
        except _WindowDone:
            return
        finally:
            if self._running and self._watch is not None:
                self._watch.stop()

    def _open(self) -> None:
        if self._watch is not None:
            self._watch.start()
        self._running = True
        self._mark()
        self._from_ns = perf_counter_ns()

    def _step(self) -> None:
        now = perf_counter_ns()
        if self._running:
            self._mark()
            self.times_ns.append(now - self._from_ns)
        self._check()
        self._token += 1
        if self._token == self._last:
            # A device has nothing left to do here: the token is on the host.
            raise _WindowDone
        if self._token == self._first:
            self._open()
        elif self._running:
            self._from_ns = perf_counter_ns()
