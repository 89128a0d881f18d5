"""The deadline of a cell: its time as a whole, and its worker's time without a sign of life."""

from __future__ import annotations

SILENCE_S = 600.0
"""The longest time without an event, and without work where a worker loads or compiles."""


class Deadline:
    """The deadline of one cell, in seconds of a monotonic clock. Pauses do not count.

    `timeout_s` None leaves the time as a whole unlimited.
    """

    def __init__(self, timeout_s: float | None, now_s: float, silence_s: float = SILENCE_S) -> None:
        self._timeout_s = timeout_s
        self._silence_s = silence_s
        self._started_s = self._last_sign_s = now_s

    def note_sign_of_life(self, now_s: float) -> None:
        """Note that the worker has written something, or works in silence."""
        self._last_sign_s = now_s

    def extend(self, seconds: float) -> None:
        """Extend both limits by the length of a pause."""
        self._started_s += seconds
        self._last_sign_s += seconds

    def explain_expiry(self, now_s: float) -> str:
        """Return which limit has passed, empty if none has."""
        if self._timeout_s is not None and now_s - self._started_s > self._timeout_s:
            return f"longer than --timeout {self._timeout_s:g} s"
        if now_s - self._last_sign_s > self._silence_s:
            return f"no output for {self._silence_s:g} s"
        return ""
