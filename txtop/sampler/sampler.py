"""The loop of the sampler: one event per tick of each device in use, fewer of the others.

Commands come as lines: `watch label=pid` adds a process, `use UUID` names a device that a run uses.

The host is sampled in the main thread and the GPUs in another, because a call of NVML can hang.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from typing import Literal

from txtop.protocol.events import Gap, Log, Telemetry
from txtop.sampler import amd, nvml_import
from txtop.sampler.amd import AmdGpus
from txtop.sampler.gpu_rates import GpuRates
from txtop.sampler.host import Host
from txtop.sampler.host_lines import HostLines
from txtop.sampler.nvidia import NvidiaGpus
from txtop.sampler.process_usage import NotAProcess, WatchedProcesses
from txtop.sampler.stdio import CommandInput, EventOutput, ReaderGone
from txtop.sanitise import sanitise

STALLED_S = 3.0
"""The duration after which a sample of the GPUs is reported as stalled."""
STARTUP_TIMEOUT_S = 30.0
"""The same for opening the devices."""
SLOW_S = 1.0
"""The time between two samples of the host with its slow values."""
COSTS_S = 1.0
"""The time between two samples of the run's own processes."""
RARE_COSTS_S = 2.0
"""The same while a run uses GPUs alone, whose cells say nothing of the memory of a process."""


class GpuThread(threading.Thread):
    """The thread of the GPUs. A call that never returns stops their series and nothing else."""

    def __init__(
        self,
        output: EventOutput,
        interval_s: float,
        watched: WatchedProcesses,
        rates: GpuRates,
    ) -> None:
        super().__init__(name="gpu", daemon=True)
        self._output = output
        self._watched = watched
        self._rates = rates
        self._interval_s = interval_s
        self._due = time.monotonic() + STARTUP_TIMEOUT_S
        self._told = False

    def run(self) -> None:
        """Sample until the reader has gone. Without NVML, send one line and end."""
        try:
            self._watch()
        except ReaderGone:
            pass
        except Exception as error:
            self._log(f"GPU telemetry has ended: {type(error).__name__}: {error}", "error")
        finally:
            self._due = math.inf

    def stalled(self) -> bool:
        """Return True once for each sample that takes over 3 s, or for an opening over 30 s."""
        late = time.monotonic() > self._due
        new, self._told = late and not self._told, late
        return new

    def _watch(self) -> None:
        library = nvml_import.import_nvml()
        gpus: NvidiaGpus | AmdGpus
        try:
            gpus = NvidiaGpus(library, self._watched, rates=self._rates)
        except library.NVMLError as error:
            problem = nvml_import.explain_error(library, error)
            if problem.state != "missing" or not amd.is_installed():
                self._log(str(problem), "info" if problem.state == "missing" else "warning")
                return
            gpus = AmdGpus(self._rates)
        for refused in gpus.refused:
            self._log(refused, "warning")
        while gpus.devices:
            started = time.monotonic()
            self._due = started + STALLED_S
            events = gpus.sample()
            self._due = math.inf
            for event in events:
                self._output.send(event)
            time.sleep(max(0.0, started + self._interval_s - time.monotonic()))

    def _log(self, text: str, level: Literal["info", "warning", "error"]) -> None:
        with suppress(ReaderGone):
            self._output.send(Log(t_ns=time.monotonic_ns(), text=sanitise(text), level=level))


class Sampler:
    """The main loop. It ends with standard input, at SIGTERM, or when the reader has gone."""

    def __init__(
        self,
        output: EventOutput,
        commands: CommandInput,
        interval_s: float,
        watched: WatchedProcesses,
    ) -> None:
        self._output = output
        self._commands = commands
        self._interval_s = interval_s
        self._watched = watched
        self._rates = GpuRates()
        self._host_lines = HostLines(Host(watched), self._rates)
        self._slow_due = self._costs_due = 0.0

    def run(self) -> None:
        """Tick at the interval, without drift. A tick that is late by an interval is skipped.

        Raises `ReaderGone` when the reader has gone.
        """
        gpus = GpuThread(self._output, self._interval_s, self._watched, self._rates)
        gpus.start()
        due = time.monotonic() + self._interval_s
        while (lines := self._commands.read_until(due)) is not None:
            for line in lines:
                self._obey(line)
            self._tick(due)
            if gpus.stalled():
                self._stall()
            late = max(0.0, time.monotonic() - due)
            due += self._interval_s * (1 + math.floor(late / self._interval_s))

    def _tick(self, now: float) -> None:
        # Take the nearest tick: one slightly early must not be postponed to the next.
        latest_due = now + self._interval_s / 2
        slowly = latest_due >= self._slow_due
        if slowly:
            self._slow_due = now + SLOW_S
        for line in self._host_lines.read(due=slowly):
            self._output.send(line)
        if latest_due < self._costs_due:
            return
        self._costs_due = now + (RARE_COSTS_S if self._rates.has_only_gpus else COSTS_S)
        t_ns = time.monotonic_ns()
        for cost in self._watched.costs():
            values: dict[str, float | None] = {"cpu_s": cost.cpu_s, "rss_bytes": cost.rss_bytes}
            device = f"process:{cost.label}"
            self._output.send(Telemetry(t_ns=t_ns, device=device, label=cost.label, values=values))

    def _obey(self, line: str) -> None:
        verb, _, rest = line.strip().partition(" ")
        if verb == "use":
            self._rates.use(sanitise(rest, 80))
            return
        try:
            if verb != "watch":
                commands = "watch label=pid, or use with a device"
                raise NotAProcess(f"not a command: {sanitise(line, 60)!r}, wanted {commands}")
            self._watched.add(rest)
            self._slow_due = self._costs_due = 0.0
        except NotAProcess as error:
            self._output.send(Log(t_ns=time.monotonic_ns(), text=str(error), level="warning"))

    def _stall(self) -> None:
        reason = "telemetry stalled: an NVML call has not returned"
        self._output.send(Gap(t_ns=time.monotonic_ns(), producer="gpu", reason=reason))
