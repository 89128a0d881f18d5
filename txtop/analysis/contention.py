"""Judge whether others took the processor from what was measured, by how much, and who.

The thresholds stand here and nowhere else: a block of iterations, the line before a run and the
word on the screen go by the same ones. docs/method.md, "Validity".
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from txtop.formatting import format_share
from txtop.protocol.events import (
    ABBlock,
    Contention,
    ContentionKind,
    DisturbedBlock,
    ForeignProcess,
)
from txtop.state.cell import CellState
from txtop.state.disturbed_blocks import is_same_stretch
from txtop.state.session import HOST, SessionState, WatchedDevice
from txtop.units import NS_PER_S

WAITED_FROM = 0.05
"""The share of the time that a thread of the worker waited. Beside the runner, the sampler and the
screen it waits less than 1 % where a core is left to them, and a busy loop costs it 20 % to 50 %.
"""
WAITED_LEAST_CORES = 0.15
"""The least that others use for a wait to be theirs: threads beyond the cores wait for each other,
and a terminal that draws the screen uses 0.1. Over 0.4 s the ticks of the kernel are right to 0.05
cores.
"""
PRESSURE_FROM = 0.2
"""The same share by the kernel's pressure, in which txtop's own processes are counted. Only where
the kernel does not count what a thread waited.
"""
OTHERS_FROM_CORES = 0.5
"""The use of others beside the run that makes nothing wait: they share caches, bandwidth and clock.
The services of an idle machine use under 0.1.
"""
OTHERS_FROM_SHARE = 0.1
"""The same as a share of the cores: on a large machine half a core disturbs nobody."""
STOLEN_FROM = 0.1
"""The share of the busy processors' time that a hypervisor gave to others; 0.2 % are usual. It is
counted in ticks of 10 ms, one of which is 2.5 % of the shortest window.
"""
CLOCK_DROP = 0.25
"""A fall of the fastest core's clock below its median. One core alone boosts by up to a fifth over
all of them, so a smaller fall says nothing.
"""
CLOCK_READINGS = 5
NAMED_FROM_SHARE = 0.1
"""The least that a process used, as a share of what the largest did, to be named or counted."""
TICK_S = 0.01
SHORTEST_WINDOW_NS = 300_000_000
READING_NS = 200_000_000
"""The time between two readings of the host. Calm ones are rarer beside a GPU at work."""
RECENT_NS = 2 * NS_PER_S
START_WINDOW_NS = NS_PER_S
BUSY = "busy"
# The series that is there where processes of others are looked for.
OTHERS_CPU = "others_cpu_s"
NO_INTERVAL_NOTE = "no interval: the machine was busy"


@dataclass(frozen=True)
class HostReadings:
    """The telemetry of the host, the number of its cores, and whether the CPU computes."""

    device: WatchedDevice
    cores: int
    computes: bool

    @staticmethod
    def from_session(session: SessionState, *, computes: bool) -> HostReadings | None:
        """Select the host; None if nothing was read of it."""
        device = session.devices.get(HOST)
        return None if device is None else HostReadings(device, session.cores, computes)


def find_contention(
    host: HostReadings, since_ns: int, from_ns: int, to_ns: int
) -> list[Contention]:
    """Return what others took between `from_ns` and `to_ns`, usually nothing.

    `since_ns` is when the cell began to measure. A recording without these series has no verdict.
    """
    others_cores = _compute_slope(host.device, OTHERS_CPU, from_ns, to_ns)
    return [
        *_judge_others(host, others_cores or 0.0, from_ns, to_ns),
        *_judge_steal(host, from_ns, to_ns),
        *(_judge_clock(host.device, since_ns, from_ns, to_ns) if host.computes else []),
    ]


def describe_busy_start(session: SessionState, since_ns: int) -> str | None:
    """Return a line on who uses the processor as a run begins, empty if nobody does.

    The run began at `since_ns`. None as long as less than a second was read: the names come some
    readings after the use.
    """
    host = HostReadings.from_session(session, computes=True)
    at = host.device.series[OTHERS_CPU][0] if host and _is_read(host.device) else array("q")
    first = bisect_left(at, since_ns)
    if host is None or first == len(at) or at[-1] - at[first] < START_WINDOW_NS:
        return None
    # What a worker waits while it loads is no word on the machine before it.
    others_cores = _compute_slope(host.device, OTHERS_CPU, at[first], at[-1]) or 0.0
    taken = [*_judge_use(host, others_cores), *_judge_steal(host, at[first], at[-1])]
    if not taken:
        return ""
    return f"this machine is {BUSY}: {', '.join(map(describe_contention, taken))}"


def find_present_contention(session: SessionState, state: CellState | None) -> list[Contention]:
    """Return what others take now, over the last two seconds; of a `state` of a cell or of none."""
    on_gpu = state is not None and state.load is not None and state.load.device != "cpu"
    host = HostReadings.from_session(session, computes=not on_gpu)
    if host is None:
        return []
    return find_contention(host, 0, session.clock_ns - RECENT_NS, session.clock_ns)


def find_use_beside_load(session: SessionState) -> list[Contention]:
    """Return what others take now, over the last two seconds, while a model is loaded."""
    return find_use(session, session.clock_ns - RECENT_NS, session.clock_ns)


def find_use(session: SessionState, from_ns: int, to_ns: int) -> list[Contention]:
    """Return what others took in a time in which a worker's waits are no word on the machine.

    It loads, or waits for workers of the same run.
    """
    host = HostReadings.from_session(session, computes=True)
    if host is None:
        return []
    others_cores = _compute_slope(host.device, OTHERS_CPU, from_ns, to_ns) or 0.0
    return [*_judge_use(host, others_cores), *_judge_steal(host, from_ns, to_ns)]


def _is_read(device: WatchedDevice) -> bool:
    return OTHERS_CPU in device.series


def describe_contention(contention: Contention) -> str:
    """Describe one in a few words: its size, and who."""
    size = contention.size
    match contention.kind:
        case "waited":
            text = f"waited {format_share(size)} for a processor"
        case "others":
            text = f"others used {size:.1f} cores"
        case "stolen":
            return f"{format_share(size)} of the processors stolen from this virtual machine"
        case "clock":
            return f"the processor's clock fell by {format_share(size)}"
    who = describe_processes(contention.processes)
    return f"{text}: {who}" if who else text


def describe_processes(processes: tuple[ForeignProcess, ...]) -> str:
    """Name the largest process, and how many more there are; empty if none is known."""
    if not processes:
        return ""
    largest, more = processes[0], len(processes) - 1
    return f"{largest.name or 'process'} {largest.pid}" + (f" and {more:,} more" if more else "")


def sum_up(weighted: Iterable[tuple[int, Iterable[Contention]]]) -> list[Contention]:
    """Sum up the contention of several blocks: one of each kind, its mean size, everybody in it.

    Each comes with a weight, its iterations. Others that made a thread wait in one block and ran
    beside it in the next are the same: of those two kinds the heavier is stated.
    """
    by_kind: dict[ContentionKind, list[tuple[int, Contention]]] = {}
    for weight, contentions in weighted:
        for one in contentions:
            by_kind.setdefault(one.kind, []).append((weight, one))
    weights = {kind: sum(weight for weight, _ in list_) for kind, list_ in by_kind.items()}
    if "waited" in weights and "others" in weights:
        lighter: ContentionKind = "others" if weights["waited"] >= weights["others"] else "waited"
        del by_kind[lighter]
    return [
        Contention(
            kind=kind,
            size=sum(weight * one.size for weight, one in parts) / weights[kind],
            processes=_merge_processes(parts),
        )
        for kind, parts in by_kind.items()
    ]


def describe_blocks(blocks: Iterable[DisturbedBlock | ABBlock]) -> str:
    """Describe the contention in `blocks` of one cell or of an A/B; empty if there was none."""
    summed = sum_up(
        (block.count if isinstance(block, DisturbedBlock) else 1, block.contention)
        for block in blocks
    )
    return ", ".join(map(describe_contention, summed))


def list_other_reasons(block: DisturbedBlock | ABBlock) -> list[str]:
    """Return the reasons without those of contention, whose figures vary from block to block."""
    taken = list(map(describe_contention, block.contention))
    return [reason for reason in block.reasons if reason not in taken]


def group_blocks(blocks: Iterable[DisturbedBlock]) -> list[list[DisturbedBlock]]:
    """Group neighbours of one fate from which others took the processor; any other is alone."""
    groups: list[list[DisturbedBlock]] = []
    for block in blocks:
        if groups and is_same_stretch(groups[-1][-1], block):
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def describe_busy_cell(state: CellState) -> str:
    """Describe what others took from the iterations that count; empty if the cell is clean."""
    return describe_blocks(state.counted_blocks)


def is_busy(state: CellState) -> bool:
    """Return whether others disturbed iterations that count."""
    return any(block.contention for block in state.counted_blocks)


def _merge_processes(parts: list[tuple[int, Contention]]) -> tuple[ForeignProcess, ...]:
    used: dict[int, tuple[float, ForeignProcess]] = {}
    for weight, one in parts:
        for process in one.processes:
            before = used.get(process.pid, (0.0, process))[0]
            used[process.pid] = before + weight * (process.cores or 0.0), process
    ordered = sorted(used.values(), key=lambda entry: -entry[0])
    # Over minutes many come and go; who used little of it is not to blame.
    least = NAMED_FROM_SHARE * ordered[0][0] if ordered else 0.0
    return tuple(process for cores, process in ordered if cores >= least)


def _judge_others(
    host: HostReadings, others_cores: float, from_ns: int, to_ns: int
) -> list[Contention]:
    """Judge what others made a thread of the worker wait, or else what they used beside it."""
    waited, least = _compute_waited(host.device, from_ns, to_ns)
    if waited >= least and others_cores >= WAITED_LEAST_CORES:
        return [Contention(kind="waited", size=min(1.0, waited), processes=host.device.foreign)]
    return _judge_use(host, others_cores) if host.computes else []


def _judge_use(host: HostReadings, others_cores: float) -> list[Contention]:
    if others_cores < max(OTHERS_FROM_CORES, OTHERS_FROM_SHARE * host.cores):
        return []
    return [Contention(kind="others", size=others_cores, processes=host.device.foreign)]


def _compute_waited(device: WatchedDevice, from_ns: int, to_ns: int) -> tuple[float, float]:
    """Return the share of the time that was waited, and from which share on it counts."""
    if any(v == v for v in device.series.get("waited_percent", ((), ()))[1]):
        return _compute_mean(device, "waited_percent", from_ns, to_ns) / 100, WAITED_FROM
    return _compute_slope(device, "pressure_s", from_ns, to_ns) or 0.0, PRESSURE_FROM


def _judge_steal(host: HostReadings, from_ns: int, to_ns: int) -> list[Contention]:
    stolen = _compute_slope(host.device, "steal_s", from_ns, to_ns, less=TICK_S)
    if not stolen or "cpu_percent" not in host.device.series:
        return []
    busy_share = _compute_mean(host.device, "cpu_percent", from_ns, to_ns) / 100
    busy_cores = max(1.0, busy_share * host.cores)
    share = stolen / busy_cores
    return [Contention(kind="stolen", size=min(1.0, share))] if share >= STOLEN_FROM else []


def _judge_clock(
    device: WatchedDevice, since_ns: int, from_ns: int, to_ns: int
) -> list[Contention]:
    if "cpu_clock_mhz" not in device.series:
        return []
    at, values = device.series["cpu_clock_mhz"]
    usual = [v for v in values[bisect_left(at, since_ns) : bisect_left(at, to_ns) + 1] if v == v]
    low = max(0, bisect_right(at, from_ns) - 1)
    now = [v for v in values[low : bisect_left(at, to_ns) + 1] if v == v]
    if len(usual) < CLOCK_READINGS or not now:
        return []
    fall = 1 - max(now) / median(usual)
    return [Contention(kind="clock", size=fall)] if fall >= CLOCK_DROP else []


def _compute_mean(device: WatchedDevice, name: str, from_ns: int, to_ns: int) -> float:
    """Return the mean over a window of readings that are each of the time before it, else 0.

    Each weighs as much as its time is of the window, since calm readings of the host are rare.
    """
    at, values = device.series[name]
    first = bisect_right(at, from_ns)
    weighed = [
        (values[i], min(at[i], to_ns) - max(at[i - 1] if i else 0, from_ns))
        for i in range(first, min(bisect_left(at, to_ns) + 1, len(at)))
        if values[i] == values[i]
    ]
    total_ns = sum(weight for _, weight in weighed)
    return sum(value * weight for value, weight in weighed) / total_ns if total_ns > 0 else 0.0


def _compute_slope(
    device: WatchedDevice, name: str, from_ns: int, to_ns: int, less: float = 0.0
) -> float | None:
    """Return the rise per second of a counter from the last reading before to the first after.

    A window shorter than `SHORTEST_WINDOW_NS` begins earlier. Where readings are rare, it reaches
    no further than it would among others, to a value between two. `less` is taken off the rise,
    for the counter's resolution. None without two readings.
    """
    if name not in device.series:
        return None
    at, values = device.series[name]
    last = min(bisect_left(at, to_ns), len(at) - 1)
    first = max(0, bisect_right(at, from_ns) - 1)
    while first > 0 and at[last] - at[first] < SHORTEST_WINDOW_NS:
        first -= 1
    readings = [
        (t, v)
        for t, v in zip(at[first : last + 1], values[first : last + 1], strict=True)
        if v == v
    ]
    if len(readings) < 2 or readings[-1][0] <= readings[0][0]:
        return None
    end_ns = min(readings[-1][0], max(to_ns, readings[0][0]) + READING_NS)
    start_ns = max(readings[0][0], min(from_ns - READING_NS, end_ns - 2 * READING_NS))
    rise = _interpolate(readings, end_ns) - _interpolate(readings, start_ns) - less
    return max(0.0, rise) * NS_PER_S / (end_ns - start_ns)


def _interpolate(readings: list[tuple[int, float]], at_ns: int) -> float:
    """Return the value at a time between the first and the last of `readings`."""
    for (before_ns, before), (after_ns, after) in pairwise(readings):
        if before_ns < after_ns and at_ns <= after_ns:
            return before + (after - before) * (at_ns - before_ns) / (after_ns - before_ns)
    return readings[-1][1]
