"""The deadline of a cell: its time as a whole, and its worker's time without output."""

from __future__ import annotations

SILENCE_S = 600.0


class Deadline:
    """The deadline of one cell, in seconds of a monotonic clock. Pauses do not count.

    `timeout_s` None leaves the time as a whole unlimited.
    """

    def __init__(self, timeout_s: float | None, now_s: float) -> None:
        self._timeout_s = timeout_s
        self._started_s = self._last_output_s = now_s

    def note_output(self, now_s: float) -> None:
        """Note that the worker has written something."""
        self._last_output_s = now_s

    def extend(self, seconds: float) -> None:
        """Extend both limits by the length of a pause."""
        self._started_s += seconds
        self._last_output_s += seconds

    def explain_expiry(self, now_s: float) -> str:
        """Return which limit has passed, empty if none has."""
        if self._timeout_s is not None and now_s - self._started_s > self._timeout_s:
            return f"longer than --timeout {self._timeout_s:g} s"
        if now_s - self._last_output_s > SILENCE_S:
            return f"no output for {SILENCE_S:g} s"
        return ""
