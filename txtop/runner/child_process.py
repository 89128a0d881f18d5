"""The processes a runner starts: a worker that measures, a sampler that watches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from txtop.protocol import commands
from txtop.protocol.commands import WorkerCommand
from txtop.sanitise import sanitise
from txtop.system import oom_killer

STDERR_LINES = 40
WORKER_COMMAND = (sys.executable, "-m", "txtop.worker")
SAMPLER_COMMAND = (sys.executable, "-m", "txtop.sampler", "--interval", "0.2")


@dataclass
class ChildProcess:
    """A child in a process group of its own; its pipes are read by the wires, never here. `gone`:
    the end of its output was seen."""

    name: str
    process: subprocess.Popen[bytes]
    started_ns: int
    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=STDERR_LINES))
    loaded_group: str | None = None
    on_gpu: bool = False
    gone: bool = False
    memory_kills: int = 0
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def keep_error_line(self, line: bytes) -> None:
        """Keeps one line of its standard error, made inert."""
        if line:
            self.stderr.append(sanitise(line.decode(errors="replace"), 500))

    def send(self, order: WorkerCommand) -> None:
        """Writes one order; a worker that is gone is noticed by the end of its output."""
        self.write(commands.encode_command(order))

    def write(self, line: bytes) -> None:
        """From any thread: a line is never cut by another."""
        assert self.process.stdin is not None
        try:
            with self._writing:
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def end(self, timeout_s: float = 1.0) -> int | None:
        """Closes its input, then TERM, then KILL; its exit code, null if it cannot be killed."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self.signal(number)
            try:
                return self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                continue
        return None


def start_child(
    name: str, command: Sequence[str], environment: dict[str, str] | None = None
) -> ChildProcess:
    """Starts a child. From the main thread: PR_SET_PDEATHSIG follows the spawning thread."""
    started_ns = time.perf_counter_ns()
    process = subprocess.Popen(
        [*command, "--name", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        env={**os.environ, **(environment or {})},
    )
    return ChildProcess(name, process, started_ns, memory_kills=oom_killer.count_oom_kills())


def describe_exit(code: int | None) -> str:
    """`killed by SIGKILL`, `exited with 3`, for a person."""
    if code is None:
        return "could not be killed"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exited with {code}"
