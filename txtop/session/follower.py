"""Follow a growing session log, for a live screen or a headless command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from txtop.protocol.events import AnyEvent
from txtop.protocol.events.base import Event
from txtop.session.reader import LogReader, find_log_path
from txtop.state.fold import fold
from txtop.state.session import SessionState

QUIET_S = 1.0
RETRY_S = 0.25


class Follower:
    """The state of a log that is being written, folded as it grows.

    The log may not exist yet; then the state is empty. Telemetry arrives five times a second, so a
    log that has not grown for a second may be one that cannot be written: then `tail(seq)` is asked
    for the events above `seq` that the runner still holds. If they do appear in the log later, they
    are not folded again. Events `only` of some kinds are folded if they are given.
    """

    def __init__(
        self,
        path: Path,
        tail: Callable[[int], list[AnyEvent]] = lambda _after: [],
        only: Sequence[type[Event]] = (),
    ) -> None:
        self.path = path
        self.state = SessionState()
        self._tail = tail
        self._only = only
        self._reader: LogReader | None = None
        self._ahead_seq = 0
        self._ask_at_s = 0.0

    @property
    def finished(self) -> bool:
        """True if the log contains the end of the run."""
        return self.state.ended is not None

    def update(self, elapsed_ns: int = 0) -> bool:
        """Fold all new events and return True if there were any. Raises `SessionError`."""
        if self._reader is None:
            if not find_log_path(self.path).exists():
                return False
            self._reader = LogReader(self.path, self._only)
        changed = False
        while batch := self._reader.poll():
            for event in batch:
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
        """Close the log."""
        if self._reader is not None:
            self._reader.close()
