"""How long a cell may take as a whole, and how long its worker may say nothing."""

from __future__ import annotations

SILENCE_S = 600.0


class Deadline:
    """Of one cell, in seconds of a monotonic clock; time in which the run was paused is free."""

    def __init__(self, timeout_s: float | None, now_s: float) -> None:
        self._timeout_s = timeout_s
        self._started_s = self._last_output_s = now_s

    def note_output(self, now_s: float) -> None:
        """The worker has said something."""
        self._last_output_s = now_s

    def extend(self, seconds: float) -> None:
        """The run was paused for so long."""
        self._started_s += seconds
        self._last_output_s += seconds

    def explain_expiry(self, now_s: float) -> str:
        """Why there is no more waiting; empty while there is."""
        if self._timeout_s is not None and now_s - self._started_s > self._timeout_s:
            return f"longer than --timeout {self._timeout_s:g} s"
        if now_s - self._last_output_s > SILENCE_S:
            return f"no sign of life for {SILENCE_S:g} s"
        return ""
