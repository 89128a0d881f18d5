"""Follows a growing session log: the source of a live screen and of a headless command."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from txtop.protocol.events import AnyEvent
from txtop.session.reader import LogReader, find_log_path
from txtop.state.fold import fold
from txtop.state.session import SessionState

QUIET_S = 1.0
RETRY_S = 0.25


class Follower:
    """Folds what is appended. The log may not exist yet; then nothing is folded.

    A log in which telemetry should arrive five times a second and that has not grown for a second
    may be one that cannot be written: then `tail(seq)` is asked for the events above `seq` that
    the runner still holds. When they appear in the log after all, they are not folded again.
    """

    def __init__(
        self, path: Path, tail: Callable[[int], list[AnyEvent]] = lambda _after: []
    ) -> None:
        self.path = path
        self.state = SessionState()
        self._tail = tail
        self._reader: LogReader | None = None
        self._ahead_seq = 0
        self._ask_at_s = 0.0

    @property
    def finished(self) -> bool:
        """The log says that the run ended."""
        return self.state.ended is not None

    def update(self, elapsed_ns: int = 0) -> bool:
        """Folds all that is new; True when something was. Raises `SessionError`."""
        if self._reader is None:
            if not find_log_path(self.path).exists():
                return False
            self._reader = LogReader(self.path)
        changed = False
        while found := self._reader.poll():
            for event in found:
                if event.seq > self._ahead_seq or not event.seq:
                    fold(self.state, event)
                    changed = True
        now_s = time.monotonic()
        if changed:
            self._ask_at_s = now_s + QUIET_S
        elif now_s >= self._ask_at_s:
            self._ask_at_s = now_s + RETRY_S
            for event in self._tail(self.state.last_seq):
                fold(self.state, event)
                self._ahead_seq = event.seq
                changed = True
        return changed

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
