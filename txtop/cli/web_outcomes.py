"""The outcomes of sessions for the list in a browser, in the words of the home screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from txtop.session.catalog import CatalogEntry
from txtop.ui.home_source import build_listed_session
from txtop.ui.models.session_outcome import ListedOutcome
from txtop.ui.outcome_reader import OutcomeReader
from txtop.web.sessions import OutcomeText

MOST_S = 3.0
"""A list is answered after so long; outcomes that are not read by then are in the next one."""


class WebOutcomes:
    """A reader of outcomes for requests that come at the same time; each session is read once."""

    def __init__(self, most_s: float = MOST_S) -> None:
        self._reader = OutcomeReader()
        self._most_s = most_s
        self._lock = threading.Lock()

    def read(self, entries: Sequence[CatalogEntry]) -> dict[Path, OutcomeText]:
        """Read the outcomes of sessions, the first of them first, as far as the time goes."""
        sessions = [build_listed_session(entry) for entry in entries]
        with self._lock:
            until_s = time.monotonic() + self._most_s
            self._reader.take(sessions)
            while self._reader.waiting and time.monotonic() < until_s:
                self._reader.step()
            joined = [self._reader.join(session) for session in sessions]
        return {
            session.path: _word(session.outcome)
            for session in joined
            if session.outcome is not None
        }


def _word(outcome: ListedOutcome) -> OutcomeText:
    """Word an outcome; a badge ends it, since a speed without it would claim too much."""
    text = " ".join(part for part in (outcome.value, outcome.name) if part)
    badge = outcome.badges[0] if outcome.badges else ""
    return OutcomeText(text, badge, outcome.role.partition(".")[0])
