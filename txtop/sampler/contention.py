"""The processor time that others take from a run: processes that are not of it, and a hypervisor.

What others use is the machine's busy time without that of the run's own processes. All processes
are read only while something is wrong, to name the largest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from txtop.protocol.events import ForeignProcess
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sampler.processor_time import PROC, ProcessorTime, read_process_time
from txtop.sampler.thread_waits import ThreadWaits
from txtop.sanitise import sanitise

WORKER_LABEL = "worker:"
# From here on names are worth a look at all processes. What spoils a block is more: the names are
# to be there when it is judged.
NAMED_FROM_CORES = 0.25
NAMED_FROM_WAITED_PERCENT = 3.0
NAMES_EVERY_S = 3.0
# Twenty ticks of the kernel's clock: a shorter look would name whoever ran in one of them.
SHORTEST_LOOK_S = 0.2
LEAST_CORES = 0.05
MAX_NAMES = 16


class ContentionSensor:
    """The series of the host that tell what others take. `proc` is where /proc is mounted."""

    def __init__(self, watched: WatchedProcesses, proc: Path = PROC) -> None:
        self._watched, self._proc = watched, proc
        self._threads = ThreadWaits(proc)
        self._own = _OwnTime(watched, proc)
        self._others = _Others(proc)
        self._base: ProcessorTime | None = None
        self._before: tuple[float, float] | None = None

    def follow(self) -> None:
        """Look for new threads of the workers and new descendants; called about once a second."""
        pids = self._watched.pids()
        workers = [pid for label, pid in pids.items() if label.startswith(WORKER_LABEL)]
        self._threads.follow(workers)
        self._own.follow(workers)

    def values(self, now_s: float, time: ProcessorTime | None) -> dict[str, float | None]:
        """Read the values of every tick from the processors' `time`.

        They are `others_cpu_s`, seconds that others ran since the first tick (it can go back by
        the kernel's tick, with which processes are counted), `steal_s` since boot, `waited_percent`
        of the time since the last tick that the worker's thread that waited longest for a
        processor did so, and `pressure_s` since boot, in which any process waited for one.
        """
        return {
            "others_cpu_s": self._read_others_s(time),
            "steal_s": None if time is None else round(time.stolen_s, 2),
            "waited_percent": self._threads.read_waited_percent(now_s),
            "pressure_s": self._read_pressure_s(),
        }

    def read_names(
        self, now_s: float, values: dict[str, float | None]
    ) -> tuple[ForeignProcess, ...] | None:
        """Return who uses the processor, largest first, if `values` make it worth a look.

        Empty once nobody does any more; `None` if nothing new is known.
        """
        others_s, before = values["others_cpu_s"], self._before
        self._before = None if others_s is None else (now_s, others_s)
        cores = 0.0
        if others_s is not None and before is not None and now_s > before[0]:
            cores = (others_s - before[1]) / (now_s - before[0])
        wrong = (
            cores >= NAMED_FROM_CORES
            or (values["waited_percent"] or 0.0) >= NAMED_FROM_WAITED_PERCENT
        )
        return self._others.look(now_s, self._own.pids) if wrong else self._others.rest(now_s)

    def _read_others_s(self, time: ProcessorTime | None) -> float | None:
        own_s = self._own.read_cpu_s()
        if time is None:
            return None
        self._base = self._base or time
        return round(time.busy_s - self._base.busy_s - own_s, 3)

    def _read_pressure_s(self) -> float | None:
        """Read PSI's `some`: https://docs.kernel.org/accounting/psi.html (total is in us)."""
        try:
            first = (self._proc / "pressure" / "cpu").read_text().partition("\n")[0]
            return round(int(first.rpartition("total=")[2]) / 1e6, 3)
        except (OSError, ValueError):
            return None


class _OwnTime:
    """The processor time of the run's own processes since they were first read."""

    def __init__(self, watched: WatchedProcesses, proc: Path) -> None:
        self._watched, self._proc = watched, proc
        self._last_s: dict[int, float] = {}
        self._descendants: set[int] = set()
        self._total_s = 0.0
        self.pids: set[int] = set()

    def follow(self, workers: list[int]) -> None:
        """Find the descendants of workers: a compiler runs in processes of its own."""
        below, waiting = set[int](), list(workers)
        while waiting:
            new = self._read_children(waiting.pop()) - below
            below |= new
            waiting += new
        self._descendants = below

    def _read_children(self, pid: int) -> set[int]:
        """Return the processes that the threads of a process have made."""
        tasks = f"{self._proc}/{pid}/task"
        children: set[int] = set()
        with suppress(OSError):
            for thread in os.listdir(tasks):
                # Not with pathlib: this takes half as long, and workers have a thread a core.
                with (
                    suppress(OSError, ValueError),
                    open(f"{tasks}/{thread}/children", encoding="ascii") as file,
                ):
                    children.update(map(int, file.read().split()))
        return children

    def read_cpu_s(self) -> float:
        """Return the sum of the seconds that they ran; one that has ended keeps its share."""
        self.pids = {*self._watched.pids().values(), *self._descendants}
        for pid in self.pids:
            process = read_process_time(pid, self._proc)
            if process is not None:
                self._total_s += max(0.0, process.cpu_s - self._last_s.get(pid, process.cpu_s))
                self._last_s[pid] = process.cpu_s
        for pid in self._last_s.keys() - self.pids:
            del self._last_s[pid]
        return self._total_s


class _Others:
    """The processes that are not of the run: what each used between two looks at all of them."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._cpu_s: dict[int, float] = {}
        self._looked_s: float | None = None
        self._named = False

    def look(self, now_s: float, own: set[int]) -> tuple[ForeignProcess, ...] | None:
        """Compare with the last look, if that is long enough ago; `own` and below are left out."""
        looked_s = self._looked_s
        wait_s = NAMES_EVERY_S if self._named else SHORTEST_LOOK_S
        # A tick that comes a little early counts as on time.
        if looked_s is not None and now_s - looked_s < 0.9 * wait_s:
            return None
        processes = {
            pid: process
            for name in os.listdir(self._proc)
            if name.isdigit()
            and (process := read_process_time(pid := int(name), self._proc)) is not None
        }
        before, self._cpu_s = self._cpu_s, {pid: p.cpu_s for pid, p in processes.items()}
        self._looked_s = now_s
        if looked_s is None:
            return None
        used: list[ForeignProcess] = []
        for pid, process in processes.items():
            cores = (process.cpu_s - before.get(pid, 0.0)) / (now_s - looked_s)
            ancestor, seen = pid, set[int]()
            while ancestor in processes and ancestor not in own | seen:
                seen.add(ancestor)
                ancestor = processes[ancestor].parent
            if cores >= LEAST_CORES and ancestor not in own:
                name = sanitise(process.name, 60)
                used.append(ForeignProcess(pid=pid, name=name, cores=round(cores, 2)))
        self._named = True
        return tuple(sorted(used, key=lambda p: -(p.cores or 0.0))[:MAX_NAMES])

    def rest(self, now_s: float) -> tuple[ForeignProcess, ...] | None:
        """Forget the last look once nothing has been wrong for as long as names hold."""
        if self._looked_s is None or now_s - self._looked_s < NAMES_EVERY_S:
            return None
        named, self._looked_s, self._named = self._named, None, False
        return () if named else None
