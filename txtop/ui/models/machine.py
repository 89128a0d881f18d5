"""The machine as its panel shows it: rates with a history of one point a second, and capacities."""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.state.cell import CellState
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.system import throttle
from txtop.units import NS_PER_S

HISTORY_S = 160
OTHERS = "others"
SAMPLER, GPUS = "sampler", "gpu"
STALLED = "telemetry stalled"
UNREAD = "—"
MBU = "MBU"


@dataclass(frozen=True)
class Gauge:
    """One row: a rate with its history (`top` is the full height), or a capacity with its bar."""

    label: str
    value: str
    unit: str
    history: tuple[float | None, ...] = ()
    top: float = 0.0
    share: float | None = None
    capacity: str = ""


@dataclass(frozen=True)
class Fact:
    """A word and what it says: `throttle none`, `temp 54 °C`."""

    label: str
    value: str
    unit: str = ""
    bad: bool = False


@dataclass(frozen=True)
class GpuView:
    """One GPU's rows, and its clock, throttle and temperature."""

    gauges: tuple[Gauge, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class RooflineView:
    """How near a cell comes to what its device can do: `share` percent of the roof that `bound`
    names, which was `measured` or is `published`. `device` is that GPU, null for the host; `lift`
    is what int8 would do to the ceiling. With `error` the account does not add up."""

    device: str | None = None
    gauge: Gauge | None = None
    bound: str = ""
    share: str = ""
    source: str = ""
    lift: str = ""
    error: bool = False


@dataclass(frozen=True)
class MachineView:
    """This machine: its name, the host's rows, each GPU's, and what bounds the cell at work."""

    title: str = ""
    host: tuple[Gauge, ...] = ()
    gpus: tuple[GpuView, ...] = ()
    roof: RooflineView | None = None


def describe_throttle(value: float | None) -> tuple[str, bool]:
    """What slows the clocks, in words, and whether it spoils a measurement."""
    if value is None or not math.isfinite(value):
        return "", False
    bad, mild = throttle.decode_reasons(value)
    return ", ".join([*bad, *mild]) or "none", bool(bad)


def describe_cell_throttle(session: SessionState, state: CellState) -> str:
    """What spoils the cell that is being measured, on the GPU it runs on; else nothing."""
    used = session.gpu(state.load.device_id) if state.load else None
    for name, device in list_gpus(session):
        words, bad = describe_throttle(device.last("throttle_reasons"))
        if bad and used in (None, name) and (state.load is None or state.load.device != "cpu"):
            return words
    return ""


def build_history(series: tuple[array[int], array[float]], now_ns: int) -> tuple[float | None, ...]:
    """The mean of each of the last seconds, oldest first; null where nothing was read."""
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
    """What is known of the machine now; a device that told nothing has no rows."""
    now = session.clock_ns
    host = session.devices.get(HOST)
    gpus = list_gpus(session)
    silent = {name for name, device in session.devices.items() if is_silent(session, name, device)}
    rows = _build_host(host, now) if host else ()
    shown = tuple(
        _mark_unread(_build_gpu(device, i, now)) if name in silent else _build_gpu(device, i, now)
        for i, (name, device) in enumerate(gpus)
    )
    if HOST in silent:
        rows = tuple(replace(g, value=UNREAD, share=None) for g in rows)
    own = (roof.gauge,) if roof and roof.gauge else ()
    used = roof.device if roof else None
    return MachineView(
        title=STALLED if HOST in silent else _build_title(session, host, gpus, state),
        host=rows if used else (*rows, *own),
        gpus=tuple(
            replace(each, gauges=(*each.gauges, *own)) if name == used else each
            for (name, _), each in zip(gpus, shown, strict=True)
        ),
        roof=roof,
    )


def is_silent(session: SessionState, name: str, device: WatchedDevice) -> bool:
    """Whether a gap in its series, or in all, is younger than anything that was read of it."""
    producers = (SAMPLER,) if name == HOST else (SAMPLER, GPUS, name)
    gaps = [at for at, gap in session.gaps if gap.producer in producers]
    newest = max((at[-1] for at, _ in device.series.values() if at), default=0)
    return session.ended is None and bool(gaps) and max(gaps) > newest


def _mark_unread(shown: GpuView) -> GpuView:
    """What was read last is not what is now."""
    gauges = tuple(replace(g, value=UNREAD, share=None) for g in shown.gauges)
    return GpuView(gauges, (Fact("", "not answering", bad=True),))


def shorten_device_name(name: str) -> str:
    """A processor's or a GPU's name without its maker's decoration."""
    name = re.sub(r"\((R|TM|tm)\)|\b(CPU|Processor|NVIDIA|\d+-Core)\b|@.*$", "", name)
    return re.sub(r"^(Intel|AMD)\s+", "", " ".join(name.split())) or name


def _build_title(
    session: SessionState,
    host: WatchedDevice | None,
    gpus: list[tuple[str, WatchedDevice]],
    state: CellState | None,
) -> str:
    known = session.header.machine if session.header else None
    name = gpus[0][1].label if gpus else (host.label if host and host.label else "")
    name = shorten_device_name(name or (known.cpu if known else ""))
    if len(gpus) > 1:
        name = f"{len(gpus)} x {name}"
    threads = state.cell.threads if state else None
    if threads is None and state and state.load:
        threads = state.load.threads
    if known and known.cores_logical:
        cores = f"{threads} of {known.cores_logical}" if threads else str(known.cores_logical)
        return f"{name} · {cores} cores" if name else f"{cores} cores"
    return name


def _build_rate(
    device: WatchedDevice, series: str, label: str, unit: str, top: float, now: int
) -> list[Gauge]:
    if series not in device.series:
        return []
    seen = build_history(device.series[series], now)
    if not seen and device.last(series) is None:
        return []
    highest = max((v for v in seen if v is not None), default=0.0)
    scale = top or device.last("power_limit_w") or highest
    value = device.last(series)
    return [Gauge(label, formatting.format_percent(value), unit, seen, max(scale, highest))]


def _build_capacity(device: WatchedDevice, used: str, total: str, label: str) -> list[Gauge]:
    have, whole = device.last(used), device.last(total)
    if have is None and whole is None:
        return []
    share = min(1.0, max(0.0, have / whole)) if have is not None and whole else None
    room = f"{whole / formatting.GIB:,.0f}" if whole else ""
    return [Gauge(label, formatting.format_gib(have), "GiB", share=share, capacity=room)]


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
    facts = []
    clock = device.last("sm_clock_mhz")
    if clock is not None:
        facts.append(Fact("clock", f"{clock:.0f}", "MHz"))
    temperature = device.last("temperature_c")
    if temperature is not None:
        facts.append(Fact("temp", f"{temperature:.0f}", "°C"))
    words, bad = describe_throttle(device.last("throttle_reasons"))
    if words:
        facts.append(Fact("throttle", words, bad=bad))
    others = device.last("foreign_processes")
    if others:
        facts.append(Fact(OTHERS, f"{others:.0f} other{'s' if others > 1 else ''} here", bad=True))
    return GpuView(gauges, tuple(facts))
