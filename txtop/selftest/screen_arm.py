"""The watched arm: a real run under the real screen, in a pseudo-terminal that is always read."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import psutil

from txtop.errors import RunError
from txtop.protocol import events
from txtop.runner.child_process import WORKER_COMMAND
from txtop.runner.control_client import ControlClient
from txtop.selftest.process_tree import ProcessTree
from txtop.selftest.time_slices import SlicedLoop
from txtop.session.reader import LogReader, find_log_path
from txtop.system.search_path import build_module_command

SESSION_NAME = "overhead"
WORKER_MODULE = WORKER_COMMAND[-1]
COLUMNS, ROWS = 120, 40
FPS = "4"
END_TIMEOUT_S = 3.0
POLL_S = 0.05


class LogTail:
    """The token times of the measured iterations of a growing log.

    `over` is why the cell has ended, None before; `ended` is set at the end of the session.
    """

    def __init__(self, session: Path) -> None:
        self._reader = LogReader(session)
        self._gaps_ns: list[int] = []
        self.over: str | None = None
        self.ended = False

    def poll(self) -> list[list[int]]:
        """Return, for each iteration since the last call, when its tokens were on the host."""
        calls = []
        for event in self._reader.poll():
            match event:
                case events.TokenTimings():
                    self._gaps_ns = [*self._gaps_ns[: event.first], *event.gaps_ns]
                case events.Iteration():
                    if event.role == "measured":
                        calls.append([*accumulate(self._gaps_ns, initial=event.start_ns)][1:])
                    self._gaps_ns = []
                case events.CellFinished() | events.CellRejected():
                    self.over = event.reason or "its iterations are used up"
                case events.SessionEnded():
                    self.ended = True
        return calls

    def close(self) -> None:
        self._reader.close()


class ScreenArm(SlicedLoop):
    """Run `txtop run` with `arguments`, its session in `folder`, in a terminal of 120x40.

    Screen, runner, worker and sampler are stopped and continued together.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._session = folder / SESSION_NAME
        self._tail: LogTail | None = None
        command = build_module_command("txtop", "run", *arguments, "--name", SESSION_NAME)
        command += ["--session-dir", str(folder), "--on-hangup", "stop", "--fps", FPS]
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            _exec_command(command)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._last_output = b""
        threading.Thread(target=self._drain, name="terminal", daemon=True).start()
        super().__init__(ProcessTree(self._pid), self)

    @property
    def worker_pid(self) -> int:
        """The process that holds the model."""
        descendants = psutil.Process(self._pid).children(recursive=True)
        return next(int(p.pid) for p in descendants if WORKER_MODULE in p.cmdline())

    def poll(self) -> list[list[int]]:
        """Return the new iterations' token times; see `TokenTimeSource`."""
        if self._tail is None and find_log_path(self._session).is_file():
            self._tail = LogTail(self._session)
        calls = self._tail.poll() if self._tail is not None else []
        gone, _ = os.waitpid(self._pid, os.WNOHANG)
        if gone or (self._tail is not None and self._tail.over is not None):
            lines = self._last_output.decode(errors="replace").strip().splitlines()
            reason = (self._tail and self._tail.over) or (lines[-1] if lines else "no word")
            raise RunError(f"the watched run ended: {reason}")
        return calls

    def close(self) -> None:
        """End the run by a request to stop, then kill whatever is left of it."""
        self._tree.resume()
        if self._tail is not None:
            stopping = ControlClient(self._session).send("stop")
            give_up_s = time.monotonic() + END_TIMEOUT_S
            while stopping and not self._tail.ended and time.monotonic() < give_up_s:
                time.sleep(POLL_S)
                self._tail.poll()
            self._tail.close()
        self._tree.kill()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        with suppress(OSError):
            os.close(self._terminal)

    def _drain(self) -> None:
        """Read as fast as the screen writes, as a good terminal does."""
        with suppress(OSError):
            while data := os.read(self._terminal, 65536):
                self._last_output = data


def _exec_command(command: list[str]) -> None:
    """Execute the command in the child of the fork, on a terminal with all colours.

    SIGCONT is blocked, which still continues a process: Textual's handler takes it for the end of
    a suspension, and would repaint everything and start one more thread for keys each time.
    """
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
        environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execve(command[0], command, environ)
    finally:
        os._exit(127)
