"""Write a session log: events are numbered and queued at once, and a thread writes them to disk."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from txtop.errors import RunError
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.session.repair import repair_log

LOG_NAME = "events.jsonl"
LOCK_NAME = "lock"
MAX_BUFFERED_BYTES = 16 << 20
RESERVED_BYTES = 1 << 20
SYNC_EVERY_S = 1.0
BATCH_EVERY_S = 0.1
RETRY_EVERY_S = 0.5
PAGE_BYTES = 1 << 16
# Synced to disk at once; everything else is synced within a second.
_URGENT = (
    events.SessionHeader,
    events.Segment,
    events.Phase,
    events.ModelLoaded,
    events.Workload,
    events.CellStarted,
    events.CellFinished,
    events.CellRejected,
    events.SessionEnded,
)
DURABILITY_LOST = "durability lost: the disk did not confirm what was written"
# Dropped first when the buffer is full, so that RESERVED_BYTES remain for results.
_BULK = (events.TokenTimings, events.Telemetry, events.Progress, events.Log)


def create_session_folder(path: Path) -> None:
    """Create a session's folder, for this user only. Raises `RunError` if that fails."""
    try:
        path.mkdir(mode=0o700, parents=True)
        probe = path / LOCK_NAME
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise RunError(f"a session {path.name!r} exists already", "choose another --name") from None
    except OSError as error:
        raise _refuse_folder(path.parent, error.strerror) from None


def check_sessions_folder(folder: Path) -> Path:
    """Return the folder that is there, `folder` or the nearest one above it.

    Raises `RunError` if no session can be written in `folder`.
    """
    try:
        place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    except OSError as error:
        raise _refuse_folder(folder, error.strerror) from None
    if not place.is_dir():
        raise _refuse_folder(folder, f"{place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _refuse_folder(folder, f"{place} is not writable")
    return place


def _refuse_folder(folder: Path, reason: str | None) -> RunError:
    hint = "name a folder of yours with --session-dir or TXTOP_SESSION_DIR"
    return RunError(f"cannot write a session in {folder} ({reason})", hint)


class LogWriter:
    """The only writer of one session. `record` never waits for a disk; `close` does.

    Lines that could not be written stay in memory, up to 16 MB, and are tried again; after that new
    events are dropped and counted. A failed fsync is never forgotten: `durability_lost`. An
    existing log is continued: `torn_bytes` were moved aside from its end (`repair_log`), and the
    caller must set `last_seq` to the number of its last event.
    """

    def __init__(self, folder: Path) -> None:
        self._lock_fd = _acquire_lock(folder)
        log = folder / LOG_NAME
        self.torn_bytes = repair_log(log)
        self._fd = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        _sync_folder(folder)
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._pending: deque[tuple[int, bytes]] = deque()
        self._sent_of_first = 0
        self._closing = False
        self._synced_at_s = 0.0
        self._unsynced = False
        self._sync_now = False
        self._digest = hashlib.sha256()
        self.last_seq = 0
        self.buffered_bytes = 0
        self.dropped = 0
        self.write_error: str | None = None
        self.durability_lost = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def record(self, event: AnyEvent) -> AnyEvent:
        """Number `event` and queue it; return it as it will be in the log."""
        with self._guard:
            event.seq = self.last_seq + 1
            line = codec.encode_event(event)
            room = MAX_BUFFERED_BYTES - (RESERVED_BYTES if isinstance(event, _BULK) else 0)
            if self.buffered_bytes + len(line) > room:
                self.dropped += 1
                return event
            self.last_seq = event.seq
            self._digest.update(line)
            self._pending.append((event.seq, line))
            self.buffered_bytes += len(line)
        if isinstance(event, _URGENT):
            self._sync_now = True
            self._wake.set()
        return event

    def unwritten(self, after: int) -> list[bytes]:
        """Return lines numbered above `after` that the disk refuses, about 64 KiB at most."""
        if self.write_error is None:
            return []
        page: list[bytes] = []
        size = 0
        with self._guard:
            for seq, line in self._pending:
                if seq > after:
                    page.append(line)
                    size += len(line)
                    if size >= PAGE_BYTES:
                        break
        return page

    def digest(self) -> str:
        """Return the SHA-256 of every line recorded so far."""
        with self._guard:
            return self._digest.hexdigest()

    def close(self, patience_s: float = 10.0) -> bool:
        """Write and sync the rest; return False if some of it could not be written."""
        self._closing = True
        self._wake.set()
        self._thread.join(patience_s)
        done = not self._thread.is_alive() and not self.buffered_bytes and not self.dropped
        os.close(self._lock_fd)
        return done and not self.durability_lost

    def trouble(self) -> str:
        """Return a description of what is wrong with the recording; empty if nothing is."""
        if self.dropped or self.buffered_bytes:
            lost = self.dropped + len(self._pending)
            return f"{lost} events could not be written ({self.write_error or 'the disk was full'})"
        if self.durability_lost:
            return DURABILITY_LOST
        return ""

    def _run(self) -> None:
        give_up_at_s = 0.0
        while True:
            self._wake.wait(RETRY_EVERY_S if self.write_error else BATCH_EVERY_S)
            self._wake.clear()
            closing = self._closing
            urgent, self._sync_now = self._sync_now, False
            written = self._write()
            due = time.monotonic() - self._synced_at_s >= SYNC_EVERY_S
            if self._unsynced and (closing or urgent or due):
                self._sync()
            if closing:
                give_up_at_s = give_up_at_s or time.monotonic() + 5.0
                if written or time.monotonic() > give_up_at_s:
                    self._cut_off_part()
                    os.close(self._fd)
                    return

    def _write(self) -> bool:
        """Write all queued lines in one call; return True if nothing is left."""
        with self._guard:
            batch = b"".join(line for _, line in self._pending)[self._sent_of_first :]
        if not batch:
            return True
        try:
            sent = os.write(self._fd, batch)
        except OSError as error:
            self.write_error = error.strerror or type(error).__name__
            return False
        self._unsynced = True
        self.write_error = None if sent == len(batch) else "short write"
        with self._guard:
            self.buffered_bytes -= sent
            sent += self._sent_of_first
            while self._pending and sent >= len(self._pending[0][1]):
                sent -= len(self._pending.popleft()[1])
            self._sent_of_first = sent
        return not self.write_error

    def _cut_off_part(self) -> None:
        """Remove the part of a last line that will never be complete."""
        if self._sent_of_first:
            with suppress(OSError):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - self._sent_of_first)

    def _sync(self) -> None:
        self._synced_at_s = time.monotonic()
        self._unsynced = False
        try:
            os.fsync(self._fd)
        except OSError:
            self.durability_lost = True


def _acquire_lock(folder: Path) -> int:
    """Lock a session and write this process's id into the lock. Raises `RunError` if it is held."""
    fd = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise RunError(
            f"session {folder.name} is being written by process {owner}",
            f"txtop attach {folder.name} shows it",
        ) from None
    # A full disk may refuse the number, and must not refuse the run.
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def is_being_written(folder: Path) -> bool:
    """Return whether a process holds the lock of the session in `folder`.

    The lock is tried only where its process lives: a writer that just begins must not find it held.
    """
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        os.kill(int(os.read(fd, 32)), 0)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except (OSError, ValueError):
        return False
    finally:
        os.close(fd)
    return False


def _sync_folder(folder: Path) -> None:
    """Sync a folder: the name of a new file is on disk only then."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)
