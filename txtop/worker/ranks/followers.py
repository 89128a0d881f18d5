"""The processes of the other ranks, as rank 0 sees them: their start, their events, their end.

They read the commands that rank 0 follows itself. It needs no torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue

from txtop.errors import TxtopError
from txtop.protocol import codec, commands, events
from txtop.system import oom_killer
from txtop.system.search_path import build_module_command
from txtop.worker.failures import EXIT_RANK_LOST, Failure

GRACE_S = 3.0
"""The time that rank 0 has to report a lost rank, before its process is ended from another thread:
a collective on a GPU waits for ever for a rank that is gone."""
_LOOK_S = 0.2
_DIED = " died "


class Followers:
    """Ranks 1 and up, started by the main thread and in its process group: they end with it.

    `environment` is added to that of this process. A thread for each reads what it says.
    """

    def __init__(self, name: str, size: int, environment: Mapping[str, str]) -> None:
        self._troubles: dict[int, Failure] = {}
        self._changed = threading.Condition()
        self._reported = False
        self._memory: dict[int, SimpleQueue[events.Memory]] = {}
        self._kills = oom_killer.count_oom_kills()
        self._processes = {rank: self._start(name, rank, environment) for rank in range(1, size)}

    def _start(
        self, name: str, rank: int, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = subprocess.Popen(
            build_module_command("txtop.worker", "--name", f"{name}.{rank}", "--rank", str(rank)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment, **own},
        )
        self._memory[rank] = SimpleQueue()
        threading.Thread(
            target=self._read, args=(rank, process), name=f"rank {rank}", daemon=True
        ).start()
        return process

    def send(self, command: commands.WorkerCommand) -> None:
        """Write `command` to every rank. One that is gone is noticed by the end of its output."""
        line = commands.encode_command(command)
        for process in self._processes.values():
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(line)
                process.stdin.flush()

    def collect_memory(self) -> list[events.Memory]:
        """Return the next `memory` event of each rank, in their order.

        Raises `TxtopError` if one is lost.
        """
        collected = []
        for waiting in self._memory.values():
            while True:
                try:
                    collected.append(waiting.get(timeout=_LOOK_S))
                    break
                except Empty:
                    if (trouble := self.find_trouble()) is not None:
                        raise TxtopError(trouble.reason) from None
        return collected

    def find_trouble(self, wait_s: float = 0.0) -> Failure | None:
        """Return what a rank failed or died of, after waiting up to `wait_s` for one that did.

        Who asks reports it: this process is then left to end by itself.
        """
        with self._changed:
            self._changed.wait_for(lambda: bool(self._troubles), wait_s)
            self._reported |= bool(self._troubles)
            troubles = list(self._troubles.values())
        # The others lose their connections to the one that is gone, and say so.
        return min(troubles, key=_is_report, default=None)

    def _read(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        failure: Failure | None = None
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = codec.decode_event(line)
            except codec.BadLine:
                continue
            if isinstance(event, events.Memory):
                self._memory[rank].put(event)
            elif event is not None:
                failure = failure or find_failure(rank, event)
        code = process.wait()
        self._note(rank, failure or self._describe_death(rank, code))

    def _describe_death(self, rank: int, code: int) -> Failure:
        if code == -signal.SIGKILL and oom_killer.count_oom_kills() > self._kills:
            reason = f"out of memory: the memory killer of the host or cgroup ended rank {rank}"
            return Failure("oom", reason, "a smaller batch, or a lower precision", None, True)
        return Failure("failed", describe_death(rank, code), "", None, True)

    def _note(self, rank: int, failure: Failure) -> None:
        with self._changed:
            self._troubles.setdefault(rank, failure)
            self._changed.notify_all()
        time.sleep(GRACE_S)
        with self._changed:
            if self._reported:
                return
        # The main thread waits in a collective, or for a command: the runner reads this line.
        print(failure.reason, file=sys.stderr, flush=True)
        os._exit(EXIT_RANK_LOST)


def _is_report(failure: Failure) -> bool:
    """Return whether a rank that lived reports an error other than a lack of memory."""
    return failure.status != "oom" and _DIED not in failure.reason


def describe_death(rank: int, code: int) -> str:
    """Describe the end of a rank's process: `rank 1 died (killed by signal 9)`."""
    how = f"killed by signal {-code}" if code < 0 else f"exited with {code}"
    return f"rank {rank}{_DIED}({how})"


def find_failure(rank: int, event: events.AnyEvent) -> Failure | None:
    """Return the failure that a rank reports in `event`, if it is one."""
    who = f"rank {rank}: "
    if isinstance(event, events.CellFinished):
        status, hint, wanted = event.status, event.hint, event.wanted_bytes
        return Failure(status, who + event.reason, hint, wanted, sticky=True)
    if isinstance(event, events.CellRejected):
        return Failure("failed", who + event.reason, event.hint, None, sticky=True)
    if reason := getattr(event, "failed", ""):
        return Failure("failed", who + reason, "", None, sticky=True)
    return None
