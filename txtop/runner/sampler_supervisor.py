"""The sampler of a run: started with it, replaced if it dies, ended with it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from txtop.protocol import events
from txtop.runner import child_process
from txtop.runner.child_process import ChildProcess
from txtop.runner.io_loop import IoLoop
from txtop.runner.recorder import Recorder, now_ns

RESTART_DELAY_S = 30.0
STALLED_S = 3.0
STARTUP_TIMEOUT_S = 15.0
SAMPLER_NAME = "sampler"


class SamplerSupervisor:
    """Start the sampler, tell it which processes and devices to watch, and replace it if it dies.

    Used from the main thread: PR_SET_PDEATHSIG follows the thread that spawns; lanes, each in a
    thread of its own, tell what to watch. Without a `command`
    nothing is sampled. `screens` maps labels to the pids of screens, whose cost is recorded too.
    """

    def __init__(
        self,
        command: Sequence[str] | None,
        screens: Mapping[str, int],
        io_loop: IoLoop,
        recorder: Recorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._processes = {"runner": os.getpid(), **screens}
        self._workers: list[ChildProcess] = []
        self._guard = threading.Lock()
        self._used_devices: dict[str, None] = {}
        self._io_loop, self._recorder = io_loop, recorder
        self._clock = clock
        self._sampler: ChildProcess | None = None
        self._due_s: float | None = None
        self._silent_from_s = 0.0
        self._stalled = False

    @property
    def started(self) -> bool:
        """True while a sampler runs."""
        return self._sampler is not None

    def owns(self, child: ChildProcess) -> bool:
        """Check that `child` is a sampler, even one that is being ended and may still write."""
        return child.name == SAMPLER_NAME

    def start(self) -> None:
        """Start a sampler that watches this machine and the cost of txtop's own processes."""
        if self._command is None:
            return
        self._sampler = child_process.start_child(SAMPLER_NAME, self._command)
        self._silent_from_s, self._stalled = self._clock() + STARTUP_TIMEOUT_S, False
        self._io_loop.add(self._sampler)
        own = {"sampler": self._sampler.process.pid}
        for label, pid in {**self._processes, **own}.items():
            self._send_watch(label, pid)
        for worker in self._list_live_workers():
            self._send_watch(worker.name, worker.process.pid)
        for device in list(self._used_devices):
            self._send(f"use {device}")

    def watch_worker(self, worker: ChildProcess) -> None:
        """Watch a worker too; the sampler forgets those that have ended."""
        with self._guard:
            self._workers = [*self._list_live_workers(), worker]
        self._send_watch(worker.name, worker.process.pid)

    def watch_device(self, device: str) -> None:
        """Have a device read at the full rate from now on: a GPU's UUID, or `host` for a CPU.

        Until one is named GPUs are read less often, and then the others rarely.
        """
        if device not in self._used_devices:
            self._used_devices[device] = None
            self._send(f"use {device}")

    def _list_live_workers(self) -> list[ChildProcess]:
        return [worker for worker in self._workers if worker.process.poll() is None]

    def note_output(self) -> None:
        """Note that the sampler has written something. Called on the I/O thread."""
        self._silent_from_s = self._clock()

    def handle_exit(self) -> None:
        """Record a gap after the sampler's output has ended, and schedule its replacement."""
        sampler, self._sampler = self._sampler, None
        if sampler is None:
            return
        self._due_s = self._clock() + RESTART_DELAY_S
        ended = child_process.describe_exit(sampler.end())
        self._record_gap(f"the sampler {ended}; a fresh one in {RESTART_DELAY_S:.0f} s")

    def supervise(self) -> None:
        """Record once that the sampler is silent, or answers again; start a replacement if due."""
        if self._due_s is not None and self._clock() >= self._due_s:
            self._due_s = None
            self.start()
        if self._sampler is None:
            return
        stalled = self._clock() - self._silent_from_s > STALLED_S
        if stalled and not self._stalled:
            self._record_gap(
                f"telemetry stalled: the sampler has been silent for {STALLED_S:.0f} s"
            )
        if self._stalled and not stalled:
            text = "the sampler answers again"
            self._recorder.record(events.Log(t_ns=now_ns(), text=text))
        self._stalled = stalled

    def end(self) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.end()

    def _send_watch(self, label: str, pid: int) -> None:
        self._send(f"watch {label}={pid}")

    def _send(self, command: str) -> None:
        if self._sampler is not None:
            self._sampler.write(f"{command}\n".encode())

    def _record_gap(self, reason: str) -> None:
        self._recorder.record(events.Gap(t_ns=now_ns(), producer=SAMPLER_NAME, reason=reason))
