"""A real process in a real pseudo-terminal, as the tests of the screen drive it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import pyte

from support.waiting import WAIT_S
from support.warm_workers import start_server


class TerminalProcess:
    """`python -c code` under a pty of its own; a terminal emulator keeps the picture.

    The process is forked from one that has imported the screen. A `cold` one is an interpreter of
    its own, as is one whose locale or import path is another.
    """

    def __init__(
        self,
        code: str,
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str | None] | None = None,
        ignore_hup: bool = False,
        job_control: bool = False,
        cold: bool = False,
    ) -> None:
        width, height = size
        self.raw = bytearray()
        self.status: int | None = None
        self._job_control = job_control
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        environment = _build_environment(env or {})
        self._server: socket.socket | None = None
        if cold or environment.get("LANG") == "C" or "PYTHONPATH" in (env or {}):
            self.pid, self.fd = pty.fork()
            if self.pid == 0:
                if job_control:
                    become_a_shells_job()
                if ignore_hup:
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                os.execve(sys.executable, [sys.executable, "-c", code], environment)
        else:
            self._server = socket.socket(socket.AF_UNIX)
            self._server.connect(start_server("screen"))
            request = {"code": code, "folder": os.getcwd(), "environment": environment}
            how = {"terminal": True, "job_control": job_control, "ignore_hup": ignore_hup}
            body = json.dumps({**request, **how, "arguments": []}).encode()
            self._server.sendall(len(body).to_bytes(4, "big") + body)
            pid, (self.fd,), _, _ = socket.recv_fds(self._server, 4, 1)
            self.pid = int.from_bytes(pid, "big")
        self.resize(width, height)

    def __enter__(self) -> TerminalProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            self._reap(wait=True)
        if self._server is not None:
            self._server.close()
        self.hang_up()

    @property
    def text(self) -> str:
        """The text on the screen."""
        return "\n".join(self._screen.display)

    def colours(self) -> set[str]:
        """Every foreground and background on the screen but the terminal's own."""
        cells = [c for row in self._screen.buffer.values() for c in row.values()]
        return {x for c in cells for x in (c.fg, c.bg)} - {"default"}

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._screen.resize(height, width)

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def signal(self, number: int) -> None:
        os.kill(self.job, number)

    @property
    def job(self) -> int:
        """The process on the screen: with job control, the child of the one that waits for it."""
        if not self._job_control:
            return self.pid
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as file:
            return int(file.read().split()[0])

    def hang_up(self) -> None:
        """Close the terminal, as a dropped connection does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def read_for(self, seconds: float) -> None:
        """Read the output for that many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._read(left):
            pass

    def wait_for(self, wanted: str | Callable[[], bool], seconds: float = WAIT_S) -> None:
        """Read until the screen shows `wanted`; fails with the picture."""
        until = time.monotonic() + seconds
        seen = (lambda: wanted in self.text) if isinstance(wanted, str) else wanted
        while not seen():
            assert time.monotonic() < until, f"never saw {wanted!r}:\n{self.text}"
            if not self._read(0.05):
                time.sleep(0.02)

    def still(self, seconds: float = WAIT_S) -> str:
        """Read until the picture has not changed for a second, and return it."""
        until = time.monotonic() + seconds
        before = ""
        while time.monotonic() < until:
            self.read_for(1.0)
            if self.text == before:
                return before
            before = self.text
        raise AssertionError(f"never still:\n{before}")

    def interrupt(self, number: int | None) -> None:
        """Press ctrl+c, or send a signal."""
        if number is None:
            self.type("\x03")
        else:
            self.signal(number)

    def stopped(self) -> bool:
        """True if the process is suspended, as the kernel reports it."""
        with open(f"/proc/{self.job}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def blank(self) -> None:
        """Forget the picture, as the shell's lines would cover it."""
        self._screen.reset()

    def wait_end(self, reading: bool = True, seconds: float = WAIT_S) -> None:
        """Wait until the process has ended; fails if it is still there."""
        until = time.monotonic() + seconds
        while not self.ended():
            assert time.monotonic() < until, f"still running after {seconds} s:\n{self.text}"
            if self.fd >= 0 and reading:
                self._read(0.02)
            else:
                time.sleep(0.02)
        while self.fd >= 0 and self._read(0):
            pass

    def ended(self) -> bool:
        if self.status is None:
            self._reap(wait=False)
        return self.status is not None

    def _reap(self, *, wait: bool) -> None:
        if self._server is not None:
            if wait or select.select([self._server], [], [], 0)[0]:
                self.status = int.from_bytes(self._server.recv(4), "big", signed=True)
            return
        done, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
        if done:
            self.status = os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.fd], [], [], seconds)[0]:
            return seconds > 0
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def _build_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return this environment in a terminal with true colour, with `changes` made; None removes."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for fixed in ("COLUMNS", "LINES"):
        # Tests that run beside others have them; a size that is told is never asked for.
        environment.pop(fixed, None)
    for key, value in changes.items():
        if value is None:
            environment.pop(key, None)
        else:
            environment[key] = value
    return environment


def become_a_shells_job() -> None:
    """Fork: the caller waits as a shell would; its child continues in a foreground group of its
    own.
    """
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        return
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
