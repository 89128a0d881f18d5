"""Check by telemetry whether the machine disturbed a block of iterations."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from txtop.analysis import contention
from txtop.analysis.contention import HostReadings
from txtop.protocol.events import Contention
from txtop.state.session import HOST, SessionState, WatchedDevice
from txtop.system import throttle
from txtop.units import NS_PER_S

CLOCK_DROP = 0.05
PAGED_BYTES = 1 << 20
MAX_REPEATS = 3
NEIGHBOURS_VARIABLE = "TXTOP_NEIGHBOURS"
"""Set to `ignore` on a machine that is never alone: what others take spoils no block."""
BUSY_REPEATS_SHARE = 0.5
"""The share of a budget that may be spent on repeating blocks in which the processor was busy."""
BUSY_REPEATS_S = 15.0
"""The same in seconds, at most: who stays longer is no passing neighbour."""


@dataclass
class Repeats:
    """The blocks of one cell or one A/B that were repeated.

    Three of them, at most. While others take the processor, as long as that costs less than 15 s,
    half of the budget, and measuring what was `planned`: iterations or blocks, None for as many as
    fit. A neighbour comes for seconds, and blocks last tenths of one. A machine that is
    never calm still gets a result: what comes after that is kept, with a word. Only the share
    `dealt` of that time may be spent so far: the first of several starts would else use it up.
    """

    budget_s: float
    planned: int | None = None
    dealt: float = 1.0
    _count: int = 0
    _busy_count: int = 0
    _busy_iterations: int = 0
    _busy_ns: int = 0

    def allow(self, *, busy: bool, duration_ns: int, count: int = 1) -> bool:
        """Return whether a disturbed block of `count` iterations is repeated; count it if so."""
        if not busy:
            allowed = self._count < MAX_REPEATS
            self._count += allowed
            return allowed
        most_ns = min(BUSY_REPEATS_SHARE * self.budget_s, BUSY_REPEATS_S) * NS_PER_S
        spent_ns, iterations = self._busy_ns + duration_ns, self._busy_iterations + count
        if self.planned is not None:
            most_ns = min(most_ns, self.planned * spent_ns / iterations)
        if self._busy_count >= MAX_REPEATS and self._busy_ns >= self.dealt * most_ns:
            return False
        self._busy_count += 1
        self._busy_ns, self._busy_iterations = spent_ns, iterations
        return True


def may_repeat_in_race(
    repeated: int, repeated_s: float, calls_s: float, *, budget_s: float, spent_s: float
) -> bool:
    """Return whether a race repeats a block whose calls took `calls_s`, whatever disturbed it.

    So far it has `repeated` blocks, whose calls took `repeated_s`, and spent `spent_s` of
    `budget_s`; all are sums of calls, without what is loaded between. The time that a cell has for
    repeats is dealt as the race goes on, after three blocks, and never exceeded: the first
    candidate would else use it up.
    """
    most_s = min(BUSY_REPEATS_SHARE * budget_s, BUSY_REPEATS_S)
    is_dealt = repeated < MAX_REPEATS or repeated_s * budget_s < spent_s * most_s
    return is_dealt and repeated_s + calls_s <= most_s


@dataclass(frozen=True)
class Disturbances:
    """The disturbances of a block in words, and the figures of those of the processor."""

    reasons: list[str] = field(default_factory=list)
    contention: list[Contention] = field(default_factory=list)


@dataclass(frozen=True)
class MachineReadings:
    """The telemetry that a cell depends on: of its GPU, None on a CPU, and of the host.

    `lost_ns` holds the times at which the GPU stopped answering. Times are the session's, in ns.
    The machine has `cores`.
    """

    gpu: WatchedDevice | None
    host: WatchedDevice | None
    lost_ns: tuple[int, ...] = ()
    cores: int = 1

    @staticmethod
    def from_session(session: SessionState, device_id: str | None) -> MachineReadings:
        """Select the devices of a cell on the GPU `device_id`, None for the CPU."""
        name = session.gpu(device_id) or ""
        lost = tuple(at for at, gap in session.gaps if gap.producer == name)
        host = session.devices.get(HOST)
        return MachineReadings(session.devices.get(name), host, lost, session.cores)

    def newest_ns(self) -> int:
        """Return the time up to which every device was read, 0 without a device."""
        devices = [d for d in (self.gpu, self.host) if d is not None]
        return min((_newest_reading_ns(d) for d in devices), default=0)


def find_disturbances(
    readings: MachineReadings, since_ns: int, from_ns: int, to_ns: int
) -> Disturbances:
    """Return what disturbed the machine between `from_ns` and `to_ns`, usually nothing.

    The readings of that time count, and the last one before and the first one after it.
    `since_ns` is when the cell began to measure: a process that ran before and a clock that was
    low before are part of what is measured.
    """
    reasons: list[str] = []
    if any(from_ns <= at <= to_ns for at in readings.lost_ns):
        reasons.append("the GPU stopped answering")
    if readings.gpu is not None:
        reasons += _check_throttling(readings.gpu, from_ns, to_ns)
        reasons += _check_foreign_processes(readings.gpu, since_ns, from_ns, to_ns)
        reasons += _check_clock(readings.gpu, since_ns, from_ns, to_ns)
    if readings.host is not None:
        reasons += _check_paging(readings.host, from_ns, to_ns)
    taken = _find_contention(readings, since_ns, from_ns, to_ns)
    return Disturbances([*reasons, *map(contention.describe_contention, taken)], taken)


def find_block_disturbances(
    session: SessionState, since_ns: Mapping[str, int], from_ns: int
) -> Disturbances:
    """Return what disturbed the machine during a block of several cells that ends now.

    `since_ns` tells for each when it began to measure.
    """
    parts = []
    for name, cell_since_ns in since_ns.items():
        load = session.cells[name].load
        readings = MachineReadings.from_session(session, load.device_id if load else None)
        parts.append(find_disturbances(readings, cell_since_ns, from_ns, session.clock_ns))
    taken = contention.sum_up((1, part.contention) for part in parts)
    described = {contention.describe_contention(one) for part in parts for one in part.contention}
    others = dict.fromkeys(r for part in parts for r in part.reasons if r not in described)
    return Disturbances([*others, *map(contention.describe_contention, taken)], taken)


def _find_contention(
    readings: MachineReadings, since_ns: int, from_ns: int, to_ns: int
) -> list[Contention]:
    if readings.host is None or os.environ.get(NEIGHBOURS_VARIABLE) == "ignore":
        return []
    host = HostReadings(readings.host, readings.cores, computes=readings.gpu is None)
    return contention.find_contention(host, since_ns, from_ns, to_ns)


def _newest_reading_ns(device: WatchedDevice) -> int:
    return max((at[-1] for at, _ in list(device.series.values()) if at), default=0)


def _select_readings(device: WatchedDevice, name: str, from_ns: int, to_ns: int) -> list[float]:
    """Return readings from the last before `from_ns` to the first after `to_ns`, without NaN."""
    if name not in device.series:
        return []
    at, values = device.series[name]
    low = max(0, bisect_right(at, from_ns) - 1)
    return [v for v in values[low : bisect_right(at, to_ns) + 1] if v == v]


def _check_throttling(gpu: WatchedDevice, from_ns: int, to_ns: int) -> list[str]:
    names: dict[str, None] = {}
    for value in _select_readings(gpu, "throttle_reasons", from_ns, to_ns):
        names |= dict.fromkeys(throttle.decode_reasons(value)[0])
    return [f"throttled: {name}" for name in names]


def _check_foreign_processes(
    gpu: WatchedDevice, since_ns: int, from_ns: int, to_ns: int
) -> list[str]:
    before = _select_readings(gpu, "foreign_processes", since_ns, since_ns)[:1]
    now = max(_select_readings(gpu, "foreign_processes", from_ns, to_ns), default=0)
    return ["another process came to this GPU"] if before and now > before[0] else []


def _check_clock(gpu: WatchedDevice, since_ns: int, from_ns: int, to_ns: int) -> list[str]:
    """Report a drop of the clock, unless a power cap, which moves it as intended, was active."""
    capped = any(
        int(v) & throttle.POWER_CAP
        for v in _select_readings(gpu, "throttle_reasons", from_ns, to_ns)
    )
    usual = _select_readings(gpu, "sm_clock_mhz", since_ns, to_ns)
    now = _select_readings(gpu, "sm_clock_mhz", from_ns, to_ns)
    if capped or not now or min(now) >= (1 - CLOCK_DROP) * max(usual):
        return []
    return [f"clock fell from {max(usual):.0f} to {min(now):.0f} MHz"]


def _check_paging(host: WatchedDevice, from_ns: int, to_ns: int) -> list[str]:
    swapped = _select_readings(host, "swapped_in_bytes", from_ns, to_ns)
    paged = len(swapped) > 1 and swapped[-1] - swapped[0] >= PAGED_BYTES
    return ["paging: memory was swapped in"] if paged else []
