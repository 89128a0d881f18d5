"""The copy of a log that is written on another machine: byte for byte, over lines that break."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from txtop.errors import SessionError, UsageError
from txtop.session.reader import find_log_path
from txtop.session.repair import find_line_end

CHUNK_BYTES = 1 << 16
# A running session writes telemetry five times a second.
SILENT_S = 10.0
# An engine that has to be imported, on a busy machine, takes longer to begin.
BEGIN_S = 30.0
# A longer silence is worth a line.
LAG_S = 3.0
# A line that sends little is read a few times a second: each time costs all others a turn.
GATHER_S = 0.2
WATCH_S = 1.0
RETRY_S = (0.5, 1.0, 2.0, 5.0)
# What a line says that breaks, as ssh's 255, is another code.
REFUSALS = (UsageError.exit_code, SessionError.exit_code)

CopyState = Literal["connecting", "copying", "complete", "given up", "closed"]


class LogCopy:
    """The copy of one log in `folder`, made by a thread until the log ends.

    `stream(position)` is a command that prints the log's bytes from there on, follows it while it
    is written, and exits with 0 at its end. A command that fails, or is silent for `SILENT_S`, is
    started again, unless txtop itself refuses; the copy's size is the position, so that nothing is
    copied twice or left out. If nothing comes for `lost_after_s` the place is lost. Only whole
    lines are written before the end, and a torn last one is copied anew, since a resumed run moves
    it aside.
    """

    def __init__(
        self,
        folder: Path,
        stream: Callable[[int], list[str]],
        lost_after_s: float = math.inf,
    ) -> None:
        self.folder = folder
        self.state: CopyState = "connecting"
        self.problem = ""
        self.breaks = 0
        self.heard_s = time.monotonic()
        self._asked_s = self.heard_s
        self._lost_after_s = lost_after_s
        self._stream = stream
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o700, exist_ok=True)
        self._log = find_log_path(folder)
        self._thread = threading.Thread(target=self._run, name=f"copy {folder.name}", daemon=True)

    @property
    def silent_s(self) -> float:
        """The seconds since the last byte came."""
        return time.monotonic() - self.heard_s

    @property
    def is_lagging(self) -> bool:
        """True if no data comes, though the log has not ended."""
        has_begun = self.breaks > 0 or self.state == "copying"
        return not self.is_over and has_begun and self.silent_s > LAG_S

    @property
    def is_over(self) -> bool:
        """True if nothing more will come."""
        return self.state in ("complete", "given up")

    def start(self) -> None:
        """Begin to copy."""
        self.heard_s = time.monotonic()
        self._thread.start()

    def skip(self, state: Literal["complete", "given up"], problem: str) -> None:
        """Leave the copy as it is: nothing can be asked any more."""
        self.state, self.problem = state, problem

    def close(self) -> None:
        """Stop copying. What is here stays, and another copy goes on from it."""
        self._stopping.set()
        self._end_process()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        with self._log.open("ab+", buffering=0) as file:
            file.truncate(find_line_end(file.fileno(), file.tell()))
            file.seek(0, os.SEEK_END)
            while not self._stopping.is_set():
                before = file.tell()
                code = self._copy_once(file.fileno(), before)
                if code == 0:
                    self.state = "complete"
                    return
                if code in REFUSALS:
                    self.state = "given up"
                    return
                if self.silent_s > self._lost_after_s:
                    self.problem = f"lost, {self.problem}" if self.problem else "lost"
                    self.state = "given up"
                    return
                failures = 0 if file.tell() > before else failures + 1
                self.state = "connecting"
                self.breaks += 1
                self._stopping.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
        self.state = "closed"

    def _copy_once(self, file: int, position: int) -> int:
        """Copy until the command ends. Return its exit code, 0 at the end of the log."""
        try:
            process = subprocess.Popen(
                self._stream(position),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self.problem = error.strerror or "it does not start"
            return 1
        self._process = process
        assert process.stdout is not None
        errors: list[bytes] = []
        reader = threading.Thread(target=_read_errors, args=(process, errors), daemon=True)
        reader.start()
        watch = threading.Thread(target=self._watch, args=(process,), daemon=True)
        self._asked_s = time.monotonic()
        watch.start()
        begun = b""
        with process.stdout as pipe:
            while data := os.read(pipe.fileno(), CHUNK_BYTES):
                self.heard_s = time.monotonic()
                self.state = "copying"
                lines, newline, begun = (begun + data).rpartition(b"\n")
                _write_all(file, lines + newline)
                if len(data) < CHUNK_BYTES // 2:
                    self._stopping.wait(GATHER_S)
        code = process.wait()
        if code == 0:
            _write_all(file, begun)
        reader.join(1.0)
        last = b"".join(errors).decode(errors="replace").strip().splitlines()
        self.problem = "" if code == 0 else (last[-1] if last else f"exit code {code}")
        return code

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """End a command that sends no data: its line is dead and does not say so.

        Also one that was just being started as the copy was closed.
        """
        while process.poll() is None:
            limit_s = SILENT_S if self.state == "copying" else BEGIN_S
            is_closed = self._stopping.wait(WATCH_S)
            if is_closed or time.monotonic() - max(self.heard_s, self._asked_s) > limit_s:
                self._end_process()
                return

    def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        # Its own children, too: a shell between would keep the pipe open.
        with suppress(OSError):
            os.killpg(process.pid, 9)


def _read_errors(process: subprocess.Popen[bytes], errors: list[bytes]) -> None:
    assert process.stderr is not None
    with process.stderr as pipe:
        errors.append(pipe.read())


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
