"""The clock of loading: seconds by phase."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from txtop.units import NS_PER_S

RESOLVE = "resolve"
"""Finding the model: local cache, probe of the Hub, download. Never a part of loading."""
_MAX_START_NS = 600_000_000_000
"""A start further back than this is taken to be on another clock."""


class PhaseTimer:
    """The seconds of each phase. A phase lasts until the next is entered, so there are no gaps."""

    def __init__(self, started_ns: int, announce: Callable[[str], None]) -> None:
        now = perf_counter_ns()
        # The monotonic clock of the runner is the same on one boot; any other start is ignored.
        sane = now - _MAX_START_NS < started_ns <= now
        self._edge_ns = started_ns if sane else now
        self._seconds: dict[str, float] = {}
        self._announce = announce
        self.started_ns = self._edge_ns
        self.current = ""

    def enter(self, name: str) -> None:
        """End the open phase and begin `name`."""
        now = perf_counter_ns() if self.current else self._edge_ns
        self._close(now)
        self.current = name
        self._announce(name)

    def stop(self) -> tuple[float, dict[str, float]]:
        """End the last phase. Return the seconds in all and by phase, both without `resolve`."""
        now = perf_counter_ns()
        self._close(now)
        resolving = self._seconds.pop(RESOLVE, 0.0)
        return (now - self.started_ns) / NS_PER_S - resolving, self._seconds

    def _close(self, now: int) -> None:
        if self.current:
            spent = self._seconds.get(self.current, 0.0)
            self._seconds[self.current] = spent + (now - self._edge_ns) / NS_PER_S
        self._edge_ns = now
