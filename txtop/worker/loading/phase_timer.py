"""How long loading takes, by phase."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

RESOLVE = "resolve"
"""Finding the model: local cache, probe of the Hub, download. Never a part of loading."""
_MAX_START_NS = 600_000_000_000


class PhaseTimer:
    """Seconds by phase, without holes: a phase lasts until the next is entered."""

    def __init__(self, started_ns: int, announce: Callable[[str], None]) -> None:
        now = perf_counter_ns()
        # The runner's monotonic clock is ours on the same boot; anything else is not used.
        sane = now - _MAX_START_NS < started_ns <= now
        self._edge_ns = started_ns if sane else now
        self._seconds: dict[str, float] = {}
        self._announce = announce
        self.started_ns = self._edge_ns
        self.current = ""

    def enter(self, name: str) -> None:
        """Ends the open phase and begins `name`."""
        now = perf_counter_ns() if self.current else self._edge_ns
        self._close(now)
        self.current = name
        self._announce(name)

    def stop(self) -> tuple[float, dict[str, float]]:
        """Ready: seconds from the start to here, and by phase. Resolving is in neither."""
        now = perf_counter_ns()
        self._close(now)
        resolving = self._seconds.pop(RESOLVE, 0.0)
        return (now - self.started_ns) / 1e9 - resolving, self._seconds

    def _close(self, now: int) -> None:
        if self.current:
            spent = self._seconds.get(self.current, 0.0)
            self._seconds[self.current] = spent + (now - self._edge_ns) / 1e9
        self._edge_ns = now
