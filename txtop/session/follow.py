"""Follows a growing session log: the source of a live screen and of a headless command."""

from __future__ import annotations

from pathlib import Path

from txtop.session.read import LogReader, log_path
from txtop.state import SessionState


class Follower:
    """Folds what is appended. The log may not exist yet; then nothing is folded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = SessionState()
        self._reader: LogReader | None = None

    @property
    def finished(self) -> bool:
        """The log says that the run ended."""
        return self.state.ended is not None

    def update(self, elapsed_ns: int = 0) -> bool:
        """Folds what is new; True when something was. Raises `SessionError` on a foreign file."""
        if self._reader is None:
            if not log_path(self.path).exists():
                return False
            self._reader = LogReader(self.path)
        found = self._reader.poll()
        for event in found:
            self.state.fold(event)
        return bool(found)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
