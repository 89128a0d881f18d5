"""The reader of the outcomes of recorded sessions: a little at a time, and each session once.

It runs in the thread of the frame loop, after the first frame. Apart from the source of the home
screen, which hands it on to the next one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.errors import SessionError
from txtop.session.reader import find_log_path

if TYPE_CHECKING:
    from txtop.ui.models.home import ListedSession
    from txtop.ui.models.session_outcome import ListedOutcome

LogSignature = tuple[Path, int, int]
# A step stops after this time; a larger log has no outcome in the list.
STEP_S = 0.04
MAX_LOG_BYTES = 64 << 20
POLL_BYTES = 1 << 18
_HAVE_OUTCOMES = ("done", "stopped", "failed", "cut off")


class OutcomeReader:
    """The outcomes of sessions by path, size and time of the last write."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outcomes: dict[LogSignature, ListedOutcome] = {}
        self._signatures: dict[Path, LogSignature] = {}
        self._unread: deque[LogSignature] = deque()
        self._open: Generator[None, None, ListedOutcome] | None = None

    def take(self, sessions: Iterable[ListedSession]) -> None:
        """Read the outcomes of these sessions next, in their order; forget those of others."""
        self._signatures = {
            item.path: signature
            for item in sessions
            if item.stage in _HAVE_OUTCOMES and (signature := _sign(item.path)) is not None
        }
        listed = self._signatures.values()
        self._outcomes = {key: self._outcomes[key] for key in listed if key in self._outcomes}
        self._unread = deque(key for key in listed if key not in self._outcomes)
        self._open = None

    @property
    def waiting(self) -> int:
        """The number of sessions that are still to be read."""
        return len(self._unread)

    @property
    def awaits_first(self) -> bool:
        """True while there are sessions to read, and no outcome yet."""
        return bool(self._unread) and not self._outcomes

    def step(self) -> bool:
        """Read on for about `STEP_S`; True if there is another outcome.

        The first one is handed over as soon as it is there: the next may take long.
        """
        if self._unread:
            _import_figures()
        until_s = self._clock() + STEP_S
        changed = False
        while self._unread:
            self._open = self._open or _read_outcome(self._unread[0])
            try:
                next(self._open)
            except StopIteration as end:
                is_first = self.awaits_first
                self._outcomes[self._unread.popleft()] = end.value
                self._open = None
                changed = True
                if is_first:
                    break
            if self._clock() >= until_s:
                break
        return changed

    def join(self, session: ListedSession) -> ListedSession:
        """Return the session with its outcome, if that was read."""
        signature = self._signatures.get(session.path)
        outcome = self._outcomes.get(signature) if signature is not None else None
        return replace(session, outcome=outcome)


def _sign(path: Path) -> LogSignature | None:
    try:
        status = find_log_path(path).stat()
    except OSError:
        return None
    return path, status.st_size, status.st_mtime_ns


def _import_figures() -> None:
    """Import what outcomes are made of, before the clock of a step starts."""
    import txtop.state.fold
    import txtop.ui.models.session_outcome  # noqa: F401


def _read_outcome(signature: LogSignature) -> Generator[None, None, ListedOutcome]:
    """Read a log piece by piece; one that cannot be read has an empty outcome."""
    # Imported late: the home screen is drawn before figures are computed.
    from txtop.session.reader import LogReader
    from txtop.state.fold import end_candidates, fold
    from txtop.state.session import SessionState
    from txtop.ui.models.cache import FrameCache
    from txtop.ui.models.session_outcome import (
        NO_OUTCOME,
        build_session_outcome,
        compute_final_figures,
    )

    path, size_bytes, _ = signature
    if size_bytes > MAX_LOG_BYTES:
        return NO_OUTCOME
    state = SessionState()
    try:
        reader = LogReader(path)
        try:
            while not reader.at_end:
                for event in reader.poll(POLL_BYTES):
                    fold(state, event)
                yield
            for event in reader.finish():
                fold(state, event)
        finally:
            reader.close()
    except (SessionError, OSError):
        return NO_OUTCOME
    end_candidates(state)
    cache = FrameCache()
    yield from compute_final_figures(state, cache)
    return build_session_outcome(state, cache)
