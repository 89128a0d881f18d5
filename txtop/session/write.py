"""Writes a session log: events are numbered and queued at once, a thread meets the disk."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections import deque
from pathlib import Path

from txtop import events
from txtop.errors import RunError
from txtop.events import AnyEvent

LOG_NAME = "events.jsonl"
LOCK_NAME = "lock"
MAX_BUFFERED_BYTES = 16 << 20
SYNC_EVERY_S = 1.0
BATCH_EVERY_S = 0.1
RETRY_EVERY_S = 0.5
_URGENT = (
    events.Header,
    events.Load,
    events.CellStarted,
    events.CellFinished,
    events.CellRejected,
    events.Ended,
)


def create_folder(path: Path) -> None:
    """Makes a session's folder, for this user alone. Raises `RunError` where that cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True)
        probe = path / LOCK_NAME
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise RunError(f"a session {path.name!r} exists already", "choose another --name") from None
    except OSError as error:
        raise RunError(
            f"cannot write a session in {path.parent} ({error.strerror})",
            "name a folder with --session-dir or TXTOP_SESSION_DIR",
        ) from None


class LogWriter:
    """The only writer of one session. `record` never waits for a disk; `close` does.

    What could not be written stays in memory, up to 16 MB, and is tried again; after that new
    events are dropped and counted. A failed fsync is never forgotten: `durability_lost`.
    """

    def __init__(self, folder: Path) -> None:
        self._lock_fd = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock_fd, 32, 0).decode(errors="replace").strip()
            os.close(self._lock_fd)
            raise RunError(f"session {folder.name} is being written by process {owner}") from None
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, str(os.getpid()).encode(), 0)
        self._fd = os.open(folder / LOG_NAME, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._queue: deque[bytes] = deque()
        self._rest = b""
        self._closing = False
        self._synced_at_s = 0.0
        self._unsynced = False
        self._digest = hashlib.sha256()
        self.last_seq = 0
        self.buffered_bytes = 0
        self.dropped = 0
        self.write_error: str | None = None
        self.durability_lost = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def record(self, event: AnyEvent) -> AnyEvent:
        """Numbers `event` and queues it; returns it as it will be in the log."""
        with self._guard:
            event.seq = self.last_seq + 1
            line = events.encode(event)
            if self.buffered_bytes + len(line) > MAX_BUFFERED_BYTES:
                self.dropped += 1
                return event
            self.last_seq = event.seq
            self._digest.update(line)
            self._queue.append(line)
            self.buffered_bytes += len(line)
        if isinstance(event, _URGENT):
            self._wake.set()
        return event

    def digest(self) -> str:
        """sha256 of every line recorded so far."""
        with self._guard:
            return self._digest.hexdigest()

    def close(self, patience_s: float = 10.0) -> bool:
        """Writes and syncs what is left; False when some of it could not be written."""
        self._closing = True
        self._wake.set()
        self._thread.join(patience_s)
        done = not self._thread.is_alive() and not self.buffered_bytes and not self.dropped
        os.close(self._lock_fd)
        return done and not self.durability_lost

    def _run(self) -> None:
        give_up_at_s = 0.0
        while True:
            self._wake.wait(RETRY_EVERY_S if self.write_error else BATCH_EVERY_S)
            self._wake.clear()
            closing = self._closing
            written = self._write()
            due = closing or time.monotonic() - self._synced_at_s >= SYNC_EVERY_S
            if self._unsynced and due:
                self._sync()
            if closing:
                give_up_at_s = give_up_at_s or time.monotonic() + 5.0
                if written or time.monotonic() > give_up_at_s:
                    os.close(self._fd)
                    return

    def _write(self) -> bool:
        """One write for all that is queued; True when nothing is left."""
        with self._guard:
            batch = self._rest + b"".join(self._queue)
            self._queue.clear()
        if not batch:
            return True
        try:
            sent = os.write(self._fd, batch)
        except OSError as error:
            sent = 0
            self.write_error = error.strerror or type(error).__name__
        else:
            self._unsynced = True
            self.write_error = None if sent == len(batch) else "short write"
        self._rest = batch[sent:]
        with self._guard:
            self.buffered_bytes -= sent
        return not self._rest

    def _sync(self) -> None:
        self._synced_at_s = time.monotonic()
        self._unsynced = False
        try:
            os.fsync(self._fd)
        except OSError:
            self.durability_lost = True
