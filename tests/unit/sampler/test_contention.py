"""Read the processor time that others take, from a /proc that the tests write."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from txtop.sampler.contention import ContentionSensor
from txtop.sampler.host import Host
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sampler.processor_time import (
    compute_busy_percent,
    read_process_time,
    read_processor_time,
)
from txtop.sampler.thread_waits import ThreadWaits

TICKS = os.sysconf("SC_CLK_TCK")
OWN, SHELL, HOG = os.getpid(), 20, 30


class Machine:
    """A /proc of two processors, of which processes use so many seconds."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder
        self._idle_s = 0.0
        self._busy_s = dict[int, float]()
        self.stolen_s = 0.0

    def run(self, seconds: float, **cores: float) -> None:
        """Let `own`, `shell` and `hog` use so many cores for that long."""
        for name, pid, parent in (("python", OWN, 1), ("sh", SHELL, 1), ("a (b) c", HOG, SHELL)):
            used = {OWN: "own", SHELL: "shell", HOG: "hog"}[pid]
            self._busy_s[pid] = self._busy_s.get(pid, 0.0) + seconds * cores.get(used, 0.0)
            self.write_process(pid, name, parent, self._busy_s[pid])
        self._idle_s += seconds * (2 - sum(cores.values()))
        busy, idle, stolen = (
            round(s * TICKS) for s in (sum(self._busy_s.values()), self._idle_s, self.stolen_s)
        )
        rows = [f"{cpu} {busy} 0 0 {idle} 0 0 0 {stolen} 0 0" for cpu in ("cpu ", "cpu0", "cpu1")]
        (self.proc / "stat").write_text("\n".join([*rows, "intr 1 2 3"]) + "\n")

    def write_process(self, pid: int, name: str, parent: int, cpu_s: float) -> None:
        (self.proc / str(pid)).mkdir(exist_ok=True)
        ticks = round(cpu_s * TICKS)
        (self.proc / str(pid) / "stat").write_text(
            f"{pid} ({name}) S {parent} 1 1 0 -1 4194304 1 0 0 0 {ticks} 0 99 99 20 0 1 0 5\n"
        )

    def write_thread(self, pid: int, thread: int, waited_s: float) -> None:
        folder = self.proc / str(pid) / "task" / str(thread)
        folder.mkdir(parents=True, exist_ok=True)
        # The same file is written again, as the kernel's stays the same one while it is open.
        with (folder / "schedstat").open("w") as file:
            file.write(f"123 {round(waited_s * 1e9)} 7\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def watch(label: str = "worker:1") -> WatchedProcesses:
    watched = WatchedProcesses()
    watched.add(f"{label}={OWN}")
    return watched


def read(sensor: ContentionSensor, machine: Machine, now_s: float) -> dict[str, float | None]:
    times = read_processor_time(proc=machine.proc)
    return sensor.values(now_s, times[0] if times else None)


def test_others_are_what_the_own_processes_leave_of_the_busy_time(machine: Machine) -> None:
    sensor = ContentionSensor(watch(), machine.proc)
    machine.run(10.0, own=1.0, hog=0.5)
    assert read(sensor, machine, 0.0)["others_cpu_s"] == 0
    machine.run(1.0, own=1.0)
    assert read(sensor, machine, 1.0)["others_cpu_s"] == 0
    machine.run(1.0, own=1.0, hog=0.8)
    machine.stolen_s = 0.5
    machine.run(1.0, own=1.0)
    values = read(sensor, machine, 3.0)
    assert values["others_cpu_s"] == pytest.approx(0.8)
    assert values["steal_s"] == 0.5
    assert values["pressure_s"] is None and values["waited_percent"] is None


def test_pressure_is_read_where_the_kernel_has_it(machine: Machine) -> None:
    (machine.proc / "pressure").mkdir()
    (machine.proc / "pressure" / "cpu").write_text(
        "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    machine.run(1.0)
    assert read(ContentionSensor(watch(), machine.proc), machine, 0.0)["pressure_s"] == 2.5


def test_a_descendant_of_a_worker_is_no_stranger(machine: Machine) -> None:
    sensor = ContentionSensor(watch(), machine.proc)
    machine.run(1.0, own=0.5)
    machine.write_thread(OWN, OWN, 0.0)
    (machine.proc / str(OWN) / "task" / str(OWN) / "children").write_text(f"{HOG} ")
    sensor.follow()
    read(sensor, machine, 0.0)
    machine.run(1.0, own=0.5, hog=1.0)
    values = read(sensor, machine, 1.0)
    assert values["others_cpu_s"] == pytest.approx(0)


def test_the_largest_are_named_only_while_something_is_wrong(machine: Machine) -> None:
    sensor = ContentionSensor(watch(), machine.proc)
    names = []
    for tick in range(60):
        busy = 10 <= tick < 40
        machine.run(0.2, own=1.0, hog=0.7 if busy else 0.0, shell=0.1 if busy else 0.02)
        names.append(sensor.read_names(tick / 5, read(sensor, machine, tick / 5)))
    assert all(name is None for name in names[:10])
    named = [(tick, name) for tick, name in enumerate(names) if name is not None]
    first, last = named[0], named[-1]
    assert first[0] <= 12 and len(named) <= 5
    assert [(p.pid, p.name) for p in first[1]] == [(HOG, "a (b) c"), (SHELL, "sh")]
    assert first[1][0].cores == pytest.approx(0.7, abs=0.05)
    assert last[1] == ()


def test_the_thread_that_waited_longest_counts(machine: Machine) -> None:
    threads = ThreadWaits(machine.proc)
    for thread in (1, 2):
        machine.write_thread(OWN, thread, 5.0)
    threads.follow([OWN])
    assert threads.read_waited_percent(0.0) is None
    machine.write_thread(OWN, 1, 5.01)
    machine.write_thread(OWN, 2, 5.05)
    assert threads.read_waited_percent(0.2) == 25.0
    machine.write_thread(OWN, 3, 7.0)
    threads.follow([OWN])
    assert threads.read_waited_percent(0.4) == 0.0
    threads.follow([])
    assert threads.read_waited_percent(0.6) is None


def test_this_kernel_s_threads_can_be_read() -> None:
    threads = ThreadWaits()
    threads.follow([os.getpid()])
    threads.read_waited_percent(0.0)
    waited = threads.read_waited_percent(0.2)
    assert waited is None or 0 <= waited <= 100
    threads.follow([])


def test_processes_and_processors_are_read(machine: Machine) -> None:
    machine.run(1.0, hog=0.5)
    hog = read_process_time(HOG, machine.proc)
    assert hog is not None and (hog.name, hog.parent, hog.cpu_s) == ("a (b) c", SHELL, 0.5)
    assert read_process_time(99999, machine.proc) is None
    own = read_process_time(os.getpid())
    assert own is not None and own.parent == os.getppid()
    whole, part = read_processor_time({1}, machine.proc) or (None, None)
    assert whole is not None and part is not None and whole.busy_s == part.busy_s == 0.5
    both = read_processor_time({0, 1}, machine.proc)
    assert both is not None and both[1].busy_s == 1.0
    assert read_processor_time(proc=machine.proc / "nowhere") is None


def test_the_busy_share_is_psutil_s(machine: Machine) -> None:
    machine.run(10.0, own=1.0)
    before = read_processor_time(proc=machine.proc)
    machine.stolen_s = 0.2
    machine.run(1.0, own=0.5)
    after = read_processor_time(proc=machine.proc)
    assert before is not None and after is not None
    # 0.5 s busy, 0.2 s stolen, 1.5 s idle: psutil counts stolen time as busy.
    assert compute_busy_percent(before[0], after[0]) == pytest.approx(100 * 0.7 / 2.2, abs=0.1)
    assert compute_busy_percent(after[0], after[0]) == 0.0
    times = psutil.cpu_times()
    here = read_processor_time()
    assert here is not None
    assert here[0].busy_s == pytest.approx(
        times.user + times.nice + times.system + times.irq + times.softirq, rel=0.01
    )


def test_a_process_that_is_watched_later_is_the_run_s() -> None:
    watched = WatchedProcesses()
    host = Host(watched)
    watched.add(f"worker:1={os.getpid()}")
    host.slow_values()
    host.read_disturbances()
    waited = host.read_disturbances()["waited_percent"]
    assert waited is not None or not Path("/proc/self/schedstat").exists()
