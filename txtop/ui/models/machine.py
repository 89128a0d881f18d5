"""The machine for its panel: rates with a history of one point a second, and capacities."""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, replace
from functools import lru_cache

from txtop import formatting
from txtop.state.cell import CellState
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.system import throttle
from txtop.units import NS_PER_S

HISTORY_S = 160
OTHERS = "others"
# The producers of telemetry gaps that concern every device, and every GPU.
SAMPLER, GPUS = "sampler", "gpu"
STALLED = "telemetry stalled"
MBU = "MBU"
# The height of a temperature's history: GPUs slow down below it.
HOTTEST_C = 100.0


@dataclass(frozen=True)
class Gauge:
    """One row: a rate with its history, or a capacity with its bar.

    `top` is the value at the full height of the history; `share` is the filled part of the bar, and
    `capacity` the whole.
    """

    label: str
    value: str
    unit: str
    history: tuple[float | None, ...] = ()
    top: float = 0.0
    share: float | None = None
    capacity: str = ""


@dataclass(frozen=True)
class Fact:
    """A label and its value, such as `throttle none` or `temp 54 °C`; `bad` ones stand out."""

    label: str
    value: str
    unit: str = ""
    bad: bool = False


@dataclass(frozen=True)
class GpuView:
    """The rows of one GPU, and its clock, temperature and throttling.

    `used` marks the one of several that the cell is on. `areas` are what there is room for where a
    GPU has a block of its own: everything that is read, each with its history.
    """

    gauges: tuple[Gauge, ...]
    facts: tuple[Fact, ...]
    used: bool = False
    areas: tuple[Gauge, ...] = ()


@dataclass(frozen=True)
class RooflineView:
    """The distance of a cell from the roofline of its device.

    `share` is the percentage of the ceiling that `bound` names; `source` is `measured` or
    `published`. `device` is the GPU, None for the host. `lift` is the factor by which int8 would
    raise the ceiling. `reads` of `peak` GB/s are what decoding takes from the memory. With `error`
    the account does not add up.
    """

    device: str | None = None
    gauge: Gauge | None = None
    bound: str = ""
    share: str = ""
    source: str = ""
    lift: str = ""
    reads: str = ""
    peak: str = ""
    error: bool = False


@dataclass(frozen=True)
class MachineView:
    """The machine: its name, the rows of host and GPUs, and the running cell's roofline.

    `work` is what the process that holds the model takes of the machine.
    """

    title: str = ""
    host: tuple[Gauge, ...] = ()
    gpus: tuple[GpuView, ...] = ()
    roof: RooflineView | None = None
    work: tuple[Fact, ...] = ()


def describe_throttle(value: float | None) -> tuple[str, bool]:
    """Return the reasons that slow the clocks, and whether they spoil a measurement."""
    if value is None or not math.isfinite(value):
        return "", False
    bad, mild = throttle.decode_reasons(value)
    return ", ".join([*bad, *mild]) or "none", bool(bad)


def describe_cell_throttle(session: SessionState, state: CellState) -> str:
    """Return the throttling that spoils the running cell on its GPU; empty if there is none."""
    used = session.gpu(state.load.device_id) if state.load else None
    for name, device in list_gpus(session):
        reasons, bad = describe_throttle(device.last("throttle_reasons"))
        if bad and used in (None, name) and (state.load is None or state.load.device != "cpu"):
            return reasons
    return ""


def build_history(series: tuple[array[int], array[float]], now_ns: int) -> tuple[float | None, ...]:
    """Return the mean of each of the last seconds, oldest first; None where nothing was read."""
    last = now_ns // NS_PER_S
    sums: dict[int, tuple[float, int]] = {}
    at, values = series
    for i in range(len(at) - 1, -1, -1):
        second = at[i] // NS_PER_S
        if second <= last - HISTORY_S:
            break
        if not math.isnan(values[i]):
            total, count = sums.get(second, (0.0, 0))
            sums[second] = (total + values[i], count + 1)
    if not sums:
        return ()
    first = min(sums)
    return tuple(
        sums[s][0] / sums[s][1] if s in sums else None for s in range(first, max(sums) + 1)
    )


def build_machine(
    session: SessionState, state: CellState | None = None, roof: RooflineView | None = None
) -> MachineView:
    """Build the present view of the machine; a device that reported nothing has no rows."""
    now = session.clock_ns
    host = session.devices.get(HOST)
    gpus = list_gpus(session)
    silent = {name for name, device in session.devices.items() if is_silent(session, name, device)}
    rows = _build_host(host, now) if host else ()
    views = tuple(
        _mark_unread(_build_gpu(device, i, now)) if name in silent else _build_gpu(device, i, now)
        for i, (name, device) in enumerate(gpus)
    )
    if HOST in silent:
        rows = tuple(replace(g, value=formatting.MISSING, share=None) for g in rows)
    own = (roof.gauge,) if roof and roof.gauge else ()
    used = roof.device if roof else None
    own_gpu = session.gpu(state.load.device_id) if state and state.load else None
    return MachineView(
        title=STALLED if HOST in silent else _build_title(session, host, gpus, state),
        host=rows if used else (*rows, *own),
        gpus=tuple(
            replace(
                view,
                gauges=(*view.gauges, *own) if name == used else view.gauges,
                used=name == own_gpu and len(gpus) > 1,
            )
            for (name, _), view in zip(gpus, views, strict=True)
        ),
        roof=roof,
        work=_list_work_facts(session, state, roof),
    )


def _list_work_facts(
    session: SessionState, state: CellState | None, roof: RooflineView | None
) -> tuple[Fact, ...]:
    """List memory and threads of the process that holds the model, and what it reads a second."""
    if state is None or state.over:
        return ()
    facts = []
    process = session.devices.get(f"process:{state.worker}")
    resident = process.last("rss_bytes") if process and session.ended is None else None
    if resident is not None:
        facts.append(Fact("model process", formatting.format_gib(resident), "GiB"))
    if state.load is not None and state.load.threads:
        unit = "thread" if state.load.threads == 1 else "threads"
        facts.append(Fact("" if facts else "model process", str(state.load.threads), unit))
    if roof is not None and roof.reads:
        facts.append(Fact("reads", roof.reads, f"of {roof.peak} GB/s"))
    return tuple(facts)


def is_silent(session: SessionState, name: str, device: WatchedDevice) -> bool:
    """Return True if a gap that concerns the device is newer than its last reading."""
    producers = (SAMPLER,) if name == HOST else (SAMPLER, GPUS, name)
    gaps = [at for at, gap in session.gaps if gap.producer in producers]
    newest = max((at[-1] for at, _ in device.series.values() if at), default=0)
    return session.ended is None and bool(gaps) and max(gaps) > newest


def _mark_unread(view: GpuView) -> GpuView:
    """Blank the values of a GPU: its last reading is not its present state."""
    gauges = tuple(replace(g, value=formatting.MISSING, share=None) for g in view.gauges)
    areas = tuple(replace(g, value=formatting.MISSING) for g in view.areas)
    return GpuView(gauges, (Fact("", "not answering", bad=True),), areas=areas)


@lru_cache(maxsize=256)
def shorten_device_name(name: str) -> str:
    """Remove the maker's decoration from the name of a processor or a GPU."""
    name = re.sub(r"\((R|TM|tm)\)|\b(CPU|Processor|NVIDIA|\d+-Core)\b|@.*$", "", name)
    return re.sub(r"^(Intel|AMD)\s+", "", " ".join(name.split())) or name


def _build_title(
    session: SessionState,
    host: WatchedDevice | None,
    gpus: list[tuple[str, WatchedDevice]],
    state: CellState | None,
) -> str:
    machine = session.header.machine if session.header else None
    name = gpus[0][1].label if gpus else (host.label if host and host.label else "")
    name = shorten_device_name(name or (machine.cpu if machine else ""))
    if len(gpus) > 1:
        name = f"{len(gpus)} x {name}"
    threads = state.cell.threads if state else None
    if threads is None and state and state.load:
        threads = state.load.threads
    if machine and machine.cores_logical:
        cores = f"{threads} of {machine.cores_logical}" if threads else str(machine.cores_logical)
        return f"{name} · {cores} cores" if name else f"{cores} cores"
    return name


def _build_rate(
    device: WatchedDevice, series: str, label: str, unit: str, top: float, now: int
) -> list[Gauge]:
    if series not in device.series:
        return []
    history = build_history(device.series[series], now)
    if not history and device.last(series) is None:
        return []
    highest = max((v for v in history if v is not None), default=0.0)
    scale = top or device.last("power_limit_w") or highest
    value = device.last(series)
    return [Gauge(label, formatting.format_percent(value), unit, history, max(scale, highest))]


def _build_capacity(device: WatchedDevice, used: str, total: str, label: str) -> list[Gauge]:
    occupied, whole = device.last(used), device.last(total)
    if occupied is None and whole is None:
        return []
    share = min(1.0, max(0.0, occupied / whole)) if occupied is not None and whole else None
    room = f"{whole / formatting.GIB:,.0f}" if whole else ""
    return [Gauge(label, formatting.format_gib(occupied), "GiB", share=share, capacity=room)]


def _build_host(device: WatchedDevice, now: int) -> tuple[Gauge, ...]:
    return (
        *_build_rate(device, "cpu_percent", "CPU", "%", 100.0, now),
        *_build_capacity(device, "ram_used_bytes", "ram_total_bytes", "RAM"),
        *_build_rate(device, "power_w", "RAPL", "W", 0.0, now),
    )


def _build_gpu(device: WatchedDevice, number: int, now: int) -> GpuView:
    gauges = (
        *_build_rate(device, "utilization", f"GPU {number}", "%", 100.0, now),
        *_build_capacity(device, "memory_used_bytes", "memory_total_bytes", "VRAM"),
        *_build_rate(device, "power_w", "power", "W", 0.0, now),
    )
    if gauges and gauges[0].label.startswith("GPU") and gauges[-1].label != "power":
        # Utilisation alone misleads: 100 % says that something ran, not that it worked.
        gauges += (Gauge("power", "N/A", ""),)
    areas = (
        *_build_area(device, "utilization", f"GPU {number}", "%", 100.0, now),
        *_build_area(device, "power_w", "power", "W", device.last("power_limit_w"), now),
        *_build_area(device, "sm_clock_mhz", "clock", "MHz", device.last("max_sm_clock_mhz"), now),
        *_build_memory_area(device, now),
        *_build_area(device, "temperature_c", "temp", "°C", HOTTEST_C, now),
    )
    facts = []
    clock = device.last("sm_clock_mhz")
    if clock is not None:
        facts.append(Fact("clock", f"{clock:.0f}", "MHz"))
    temperature = device.last("temperature_c")
    if temperature is not None:
        facts.append(Fact("temp", f"{temperature:.0f}", "°C"))
    reasons, bad = describe_throttle(device.last("throttle_reasons"))
    if reasons:
        facts.append(Fact("throttle", reasons, bad=bad))
    others = device.last("foreign_processes")
    if others:
        facts.append(
            Fact(OTHERS, f"{formatting.format_count(int(others), 'other')} here", bad=True)
        )
    return GpuView(gauges, tuple(facts), areas=areas)


def _build_area(
    device: WatchedDevice, series: str, label: str, unit: str, top: float | None, now: int
) -> list[Gauge]:
    """Build a reading with its history, as high as `top`, which is the capacity beside it."""
    value = device.last(series)
    history = build_history(device.series[series], now) if series in device.series else ()
    if value is None and not history:
        return []
    highest = max((v for v in history if v is not None), default=0.0)
    height = max(top or 0.0, highest) or 1.0
    text = formatting.MISSING if value is None else f"{value:.0f}"
    return [Gauge(label, text, unit, history, height, capacity=f"{height:.0f}")]


def _build_memory_area(device: WatchedDevice, now: int) -> list[Gauge]:
    used, total = device.last("memory_used_bytes"), device.last("memory_total_bytes")
    area = _build_area(device, "memory_used_bytes", "VRAM", "GiB", total, now)
    room = f"{total / formatting.GIB:,.0f}" if total else ""
    return [replace(g, value=formatting.format_gib(used), capacity=room) for g in area]
