"""Host values, RAPL power from faked counters, and the cost of watched processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from txtop.protocol.events import Telemetry
from txtop.sampler.host import MAX_CORES, Host, read_cpu_name
from txtop.sampler.process_usage import NotAProcess, WatchedProcesses
from txtop.sampler.rapl import Rapl, find_counters
from txtop.sampler.sampler import Sampler


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _zone(root: Path, name: str, title: str, energy: int | None, wraps_at: int = 999_999) -> Path:
    zone = root / name
    zone.mkdir()
    (zone / "name").write_text(title + "\n")
    (zone / "max_energy_range_uj").write_text(f"{wraps_at}\n")
    if energy is not None:
        (zone / "energy_uj").write_text(f"{energy}\n")
    return zone / "energy_uj"


def test_host_values_are_sane() -> None:
    values = Host().values()
    assert set(values) - {"power_w", "energy_j"} == {
        "cpu_percent",
        "ram_used_bytes",
        "ram_total_bytes",
        "load_1",
        "swapped_in_bytes",
    }
    used, total, load = values["ram_used_bytes"], values["ram_total_bytes"], values["load_1"]
    assert used is not None and total is not None and 0 < used <= total
    assert total <= psutil.virtual_memory().total
    assert load is not None and load >= 0


def test_slow_host_values_are_sane() -> None:
    values = Host().slow_values()
    cores = [v for name, v in values.items() if name.startswith("core_") and v is not None]
    assert len(cores) == min(psutil.cpu_count() or 0, MAX_CORES) or not cores
    busiest, swap = values["cpu_busiest_percent"], values["swap_used_bytes"]
    assert busiest is not None and busiest == max([*cores, busiest]) and 0 <= busiest <= 100
    assert swap is not None and swap >= 0
    assert values["memory_kills"] is not None


def test_cpu_model_is_made_inert(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast \x1b[31m CPU\nmodel name\t: other\n")
    assert read_cpu_name(cpuinfo) == "Fast \\x1b[31m CPU"
    assert read_cpu_name(tmp_path / "absent") != ""


def test_rapl_sums_packages_and_leaves_out_subdomains(tmp_path: Path) -> None:
    clock = Clock()
    first = _zone(tmp_path, "intel-rapl:0", "package-0", 100)
    second = _zone(tmp_path, "intel-rapl:1", "package-1", 0)
    _zone(tmp_path, "intel-rapl:0:0", "core", 0)
    _zone(tmp_path, "intel-rapl:2", "psys", 0)
    assert find_counters(tmp_path) == [first, second]
    rapl = Rapl(tmp_path, clock)
    clock.now += 0.5
    first.write_text("600100\n")
    second.write_text("400000\n")
    assert rapl.watts() == 2.0
    assert rapl.joules == 1.0


def test_rapl_counter_wraps(tmp_path: Path) -> None:
    clock = Clock()
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 900_000)
    rapl = Rapl(tmp_path, clock)
    clock.now += 1
    counter.write_text("400000\n")
    assert rapl.watts() == 0.5


def test_rapl_without_permission_is_not_available(tmp_path: Path) -> None:
    _zone(tmp_path, "intel-rapl:0", "package-0", None)
    assert len(find_counters(tmp_path)) == 1
    assert not Rapl(tmp_path).available
    assert not Rapl(tmp_path / "absent").available


def test_rapl_nonsense_is_null(tmp_path: Path) -> None:
    clock = Clock()
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 0, wraps_at=10**15)
    rapl = Rapl(tmp_path, clock)
    assert rapl.watts() is None
    clock.now += 1
    counter.write_text("900000000000\n")
    assert rapl.watts() is None
    counter.write_text("not a number\n")
    assert rapl.watts() is None


def test_watched_processes_by_label_and_by_number() -> None:
    watched = WatchedProcesses()
    watched.add(f"tests={os.getpid()}")
    watched.add(str(os.getppid()))
    costs = {cost.label: cost for cost in watched.costs()}
    assert set(costs) == {"tests", str(os.getppid())}
    assert costs["tests"].cpu_s > 0
    assert costs["tests"].rss_bytes > 2**20


def test_a_process_that_ended_leaves_the_list() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watched = WatchedProcesses()
        watched.add(f"child={child.pid}")
        assert len(watched.costs()) == 1
        child.communicate(b"\n")
    assert watched.costs() == []
    watched.add(f"child={child.pid}")
    assert watched.costs() == []


@pytest.mark.parametrize("text", ["", "x", "a=", "a=-1", "a=1.5", "=x", "a=99999999999", "a=٣"])
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises(NotAProcess):
        WatchedProcesses().add(text)


def test_what_changes_slowly_is_read_each_second_whatever_the_ticks_add_up_to() -> None:
    told: list[Telemetry] = []

    class Kept:
        def send(self, event: Telemetry) -> None:
            told.append(event)

    sampler = Sampler(Kept(), None, 0.2, WatchedProcesses())  # type: ignore[arg-type]
    due = 3333.3
    for _ in range(26):
        sampler._tick(due)
        due += 0.2
    slow = [i for i, event in enumerate(told) if "core_0_percent" in event.values]
    assert slow == [0, 5, 10, 15, 20, 25]
