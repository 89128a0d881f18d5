"""Stop and continue a process and all its descendants as one."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import psutil

_TIMEOUT_S = 2.0
_POLL_S = 0.005


class ProcessTree:
    """A process that this one started, and its descendants. Processes that are gone raise nothing.

    Descendants seen once stay members, even after their parent has died.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._processes: dict[int, psutil.Process] = {pid: self._root}

    def stop(self) -> None:
        """Stop every process, and wait until all are stopped."""
        members = self._list_members()
        for process in members:
            self._send(process, signal.SIGSTOP)
        self._wait_stopped(members)

    def resume(self) -> None:
        """Continue every process."""
        for process in self._list_members():
            self._send(process, signal.SIGCONT)

    def kill(self) -> None:
        """Kill every process, stopped or not."""
        members = self._list_members()
        for process in members:
            self._send(process, signal.SIGKILL)
        psutil.wait_procs(members, _TIMEOUT_S)

    def _list_members(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            for child in self._root.children(recursive=True):
                self._processes.setdefault(child.pid, child)
        self._processes = {pid: p for pid, p in self._processes.items() if p.is_running()}
        return list(self._processes.values())

    @staticmethod
    def _send(process: psutil.Process, number: int) -> None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)

    @staticmethod
    def _wait_stopped(processes: list[psutil.Process]) -> None:
        give_up_s = time.monotonic() + _TIMEOUT_S
        at_rest = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                while process.status() not in at_rest and time.monotonic() < give_up_s:
                    time.sleep(_POLL_S)
