"""The watched arm: a real run under the real screen, in a pseudo-terminal that is always read."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

from txtop import events
from txtop.errors import RunError
from txtop.runner.client import Control
from txtop.selftest.tree import Tree
from txtop.selftest.verdict import Gaps
from txtop.session.read import LogReader, log_path

NAME = "overhead"
COLUMNS, ROWS = 120, 40
LOAD_S = 120.0
SETTLE_S = 0.4
LOOK_S = 0.05
END_S = 3.0
QUIET_S = 2.0


class Tail:
    """The complete iterations of a growing log, and whether it says that the run is over."""

    def __init__(self, session: Path) -> None:
        self._reader = LogReader(session)
        self._open: list[int] = []
        self.iterations: Gaps = []
        self.measured_from: int | None = None
        self.paused_at = 0
        self.over = ""
        self.ended = False

    def read(self) -> None:
        for event in self._reader.poll():
            match event:
                case events.Steps():
                    self._open = [*self._open[: event.first], *event.gaps_ns]
                case events.Iteration():
                    if event.role == "measured" and self.measured_from is None:
                        self.measured_from = len(self.iterations)
                    self.iterations.append(self._open[1:])
                    self._open = []
                case events.Control(action="pause"):
                    self.paused_at = len(self.iterations)
                case events.CellFinished() | events.CellRejected():
                    self.over = self.over or event.reason or "its iterations are used up"
                case events.Ended():
                    self.ended = True

    def close(self) -> None:
        self._reader.close()


class Watched:
    """`txtop run` with `arguments` in a terminal of 120x40. Raises `RunError` if the run ends.

    Between turns the run is paused, and screen, runner, worker and sampler are stopped.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._session = folder / NAME
        self._tail: Tail | None = None
        command = [sys.executable, "-m", "txtop", "run", *arguments, "--name", NAME]
        command += ["--session-dir", str(folder), "--on-hangup", "stop", "--fps", "4"]
        pid, self._terminal = pty.fork()
        if pid == 0:
            environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execve(sys.executable, command, environ)
        self._pid = pid
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._last_words = b""
        threading.Thread(target=self._drain, name="terminal", daemon=True).start()
        self._control = Control(self._session)
        self._tree = Tree(pid, screen=True)

    def wait_loaded(self) -> None:
        """Until measured iterations come; then stops it until its first turn."""
        give_up_s = time.monotonic() + LOAD_S
        while self._tail is None or self._tail.measured_from is None:
            if time.monotonic() > give_up_s:
                raise RunError(f"the watched run measured nothing within {LOAD_S:.0f} s")
            self._look()
        self._rest()

    def turn(self, iterations: int) -> Gaps:
        """Gaps in ns of `iterations` iterations; one before them does not count."""
        tail = self._known_tail()
        self._tree.go_on()
        # The screen repaints as it wakes, once; in a run without turns it never does.
        time.sleep(SETTLE_S)
        self._look()
        first = len(tail.iterations) + 1
        self._ask("resume")
        while len(tail.iterations) < first + iterations:
            self._look()
        self._rest()
        return tail.iterations[first : first + iterations]

    def close(self) -> None:
        """Ends the run as a person would, then by force whatever is left of it."""
        self._tree.go_on()
        if self._tail is not None:
            self._control.send("stop")
            give_up_s = time.monotonic() + END_S
            while not self._tail.ended and time.monotonic() < give_up_s:
                time.sleep(LOOK_S)
                self._tail.read()
            self._tail.close()
        self._tree.kill()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        with suppress(OSError):
            os.close(self._terminal)

    def _rest(self) -> None:
        """Pauses after the iteration at hand, then stops every process."""
        self._ask("pause")
        tail = self._known_tail()
        quiet_s = time.monotonic() + QUIET_S
        self._look()
        while len(tail.iterations) <= tail.paused_at and time.monotonic() < quiet_s:
            self._look()
        self._tree.stop()

    def _ask(self, action: str) -> None:
        if not self._control.send(action):
            raise self._gone()

    def _known_tail(self) -> Tail:
        if self._tail is None:
            raise self._gone()
        return self._tail

    def _look(self) -> None:
        """Reads what is new in the log after a while; raises `RunError` when the run is over."""
        time.sleep(LOOK_S)
        if self._tail is None and log_path(self._session).is_file():
            self._tail = Tail(self._session)
        if self._tail is not None:
            self._tail.read()
            if self._tail.over or self._tail.ended:
                raise self._gone()
        done, _ = os.waitpid(self._pid, os.WNOHANG)
        if done:
            raise self._gone()

    def _gone(self) -> RunError:
        said = self._last_words.decode(errors="replace").strip().splitlines()
        why = self._tail.over if self._tail is not None else (said[-1] if said else "no word")
        return RunError(f"the watched run ended: {why}")

    def _drain(self) -> None:
        """Reads as fast as the screen writes, as a good terminal does."""
        with suppress(OSError):
            while data := os.read(self._terminal, 65536):
                self._last_words = data
