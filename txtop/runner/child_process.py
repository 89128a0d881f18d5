"""The child processes of a runner: a worker that measures, a sampler that watches."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from txtop.protocol import commands
from txtop.protocol.commands import WorkerCommand
from txtop.sanitise import find_last_text, sanitise
from txtop.system import oom_killer
from txtop.system.search_path import build_module_command

STDERR_LINES = 40
WORKER_COMMAND = tuple(build_module_command("txtop.worker"))
SAMPLER_COMMAND = tuple(build_module_command("txtop.sampler", "--interval", "0.2"))


@dataclass
class ChildProcess:
    """A child in a process group of its own. `IoLoop` reads its pipes, never this class.

    `loaded_group` names the weights that a worker holds, `gone` is set at the end of its output,
    `memory_kills` is the OOM killer's count when the child started. Its events go to the `inbox` of
    the client that started it, and to the log if they are `recorded`; a sampler has no inbox.
    """

    name: str
    process: subprocess.Popen[bytes]
    started_ns: int
    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=STDERR_LINES))
    loaded_group: str | None = None
    gone: bool = False
    memory_kills: int = 0
    inbox: SimpleQueue[Any] | None = None
    recorded: bool = True
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def keep_error_line(self, line: bytes) -> None:
        """Keep what a terminal would show last of one line, made inert, without progress bars."""
        if text := find_last_text(line.decode(errors="replace")):
            self.stderr.append(sanitise(text, 500))

    def send(self, command: WorkerCommand) -> None:
        """Write one command; a worker that is gone is noticed by the end of its output."""
        self.write(commands.encode_command(command))

    def write(self, line: bytes) -> None:
        """Write one line, from any thread: lines never mix."""
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
        """Close the child's input, then send TERM, then KILL, `timeout_s` apart.

        Return its exit code, None if it cannot be killed.
        """
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
    """Start a child whose environment is this process's with `environment` on top.

    Call from a thread that outlives it: PR_SET_PDEATHSIG follows the thread that spawns.
    """
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
    """Describe an exit for a person: `killed by SIGKILL`, `exited with 3`."""
    if code is None:
        return "could not be killed"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exited with {code}"
