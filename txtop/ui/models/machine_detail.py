"""The machine for its panel at full size: each core, further readings, other processes.

`machine` has what is always visible; this is apart because only panels with much room draw it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from txtop import formatting
from txtop.analysis.contention import OTHERS_CPU
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.ui.models.machine import HISTORY_S, Fact, Gauge, is_silent
from txtop.units import NS_PER_S

GB = 1e9
NO_PROGRAMS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class Core:
    """The load of one logical core in percent, now and in each of the last seconds."""

    number: int
    now: float | None
    history: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class ForeignProcessView:
    """A process on GPU number `gpu` that is not part of the run, if there is one."""

    gpu: int
    pid: int
    name: str
    memory: str


@dataclass(frozen=True)
class BusyProcess:
    """A process and the cores that it used, as text and as a share of the machine's cores."""

    pid: int
    name: str
    cores: str
    share: float


@dataclass(frozen=True)
class MachineDetailView:
    """The machine at full size.

    `gpus` has the readings of each GPU beyond its rows. `others` is None if processes cannot be
    listed; where it is not `in_run` they are all processes. `busy` are the processes, not of a run,
    that use the processor most, largest first; None where they are not read.
    """

    cores: tuple[Core, ...] = ()
    swap: Gauge | None = None
    host: tuple[Fact, ...] = ()
    gpus: tuple[tuple[Fact, ...], ...] = ()
    others: tuple[ForeignProcessView, ...] | None = None
    in_run: bool = False
    busy: tuple[BusyProcess, ...] | None = None


NO_MACHINE_DETAIL = MachineDetailView()


def build_machine_detail(
    session: SessionState, *, programs: Mapping[int, str] = NO_PROGRAMS
) -> MachineDetailView:
    """Build the view of all devices; readings that a device lacks are left out.

    `programs` are better names of processes by their ids.
    """
    host = session.devices.get(HOST)
    gpus = [None if is_silent(session, *entry) else entry[1] for entry in list_gpus(session)]
    silent = host is None or is_silent(session, HOST, host)
    counted = [device and device.last("foreign_processes") is not None for device in gpus]
    others = _list_foreign_processes(gpus, programs)
    in_run = session.header is not None
    return MachineDetailView(
        cores=_build_cores(host, session.clock_ns, silent=silent) if host else (),
        swap=_build_swap(host, silent=silent) if host else None,
        host=_list_host_facts(host) if host and not silent else (),
        gpus=tuple(_list_gpu_facts(device) if device else () for device in gpus),
        others=others if (gpus and all(counted)) or (others and not in_run) else None,
        in_run=in_run,
        busy=None
        if host is None or silent or OTHERS_CPU not in host.series
        else _list_busy_processes(host, programs),
    )


def _list_busy_processes(
    host: WatchedDevice, programs: Mapping[int, str]
) -> tuple[BusyProcess, ...]:
    count = sum(name.startswith("core_") for name in host.series)
    return tuple(
        BusyProcess(
            process.pid,
            programs.get(process.pid, process.name),
            f"{process.cores:.2f}",
            min(1.0, process.cores / count) if count else 0.0,
        )
        for process in sorted(host.foreign, key=lambda p: -(p.cores or 0.0))
        if process.cores is not None
    )


def _build_cores(host: WatchedDevice, now_ns: int, *, silent: bool) -> tuple[Core, ...]:
    """Build the cores; they are read together, so the times of the first one serve for all."""
    cores: list[Core] = []
    at: array[int] = array("q")
    newest: list[int | None] = []
    while (name := f"core_{len(cores)}_percent") in host.series:
        times, values = host.series[name]
        if not cores or len(times) != len(at):
            at, newest = times, _find_newest_samples(times, now_ns)
        history = tuple(None if i is None or values[i] != values[i] else values[i] for i in newest)
        cores.append(Core(len(cores), None if silent else host.last(name), history))
    return tuple(cores)


def _find_newest_samples(at: array[int], now_ns: int) -> list[int | None]:
    """Return the index of the newest sample of each of the last seconds read, oldest first.

    Samples are about a second apart: a second that has none, after one that has two, takes the last
    of them.
    """
    last = now_ns // NS_PER_S
    newest: dict[int, int] = {}
    for i in range(len(at) - 1, -1, -1):
        second = at[i] // NS_PER_S
        if second <= last - HISTORY_S:
            break
        newest.setdefault(second, i)
    if not newest:
        return []
    return [newest.get(s, newest.get(s - 1)) for s in range(min(newest), max(newest) + 1)]


def _build_swap(host: WatchedDevice, *, silent: bool) -> Gauge | None:
    used, total = host.last("swap_used_bytes"), host.last("swap_total_bytes")
    if used is None or not total:
        return None
    share = None if silent else min(1.0, used / total)
    room = f"{total / formatting.GIB:,.0f}"
    return Gauge(
        "swap",
        formatting.MISSING if silent else formatting.format_gib(used),
        "GiB",
        share=share,
        capacity=room,
    )


def _list_host_facts(host: WatchedDevice) -> tuple[Fact, ...]:
    facts = []
    load, clock = host.last("load_1"), host.last("cpu_clock_mhz")
    busiest = host.last("cpu_busiest_percent")
    if load is not None:
        facts.append(Fact("load average", f"{load:.1f}"))
    if busiest is not None:
        facts.append(Fact("busiest core", formatting.format_percent(busiest), "%"))
    if clock is not None:
        facts.append(Fact("clock", f"{clock:.0f}", "MHz"))
    return tuple(facts)


def _list_gpu_facts(device: WatchedDevice) -> tuple[Fact, ...]:
    facts = []
    memory, limit = device.last("memory_clock_mhz"), device.last("power_limit_w")
    most = device.last("max_sm_clock_mhz")
    if most is not None:
        facts.append(Fact("clock at most", f"{most:.0f}", "MHz"))
    if memory is not None:
        facts.append(Fact("memory clock", f"{memory:.0f}", "MHz"))
    if limit is not None:
        facts.append(Fact("power at most", f"{limit:.0f}", "W"))
    for label, name in (("PCIe in", "pcie_rx_bytes_per_s"), ("PCIe out", "pcie_tx_bytes_per_s")):
        rate = device.last(name)
        if rate is not None:
            facts.append(Fact(label, f"{rate / GB:.2f}", "GB/s"))
    return tuple(facts)


def _list_foreign_processes(
    gpus: list[WatchedDevice | None], programs: Mapping[int, str]
) -> tuple[ForeignProcessView, ...]:
    return tuple(
        ForeignProcessView(
            number,
            process.pid,
            programs.get(process.pid, process.name),
            formatting.MISSING
            if process.memory_bytes is None
            else formatting.format_gib(process.memory_bytes),
        )
        for number, device in enumerate(gpus)
        for process in (device.foreign if device else ())
    )
