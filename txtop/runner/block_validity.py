"""Check by telemetry whether the machine disturbed a block of iterations."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from txtop.state.session import HOST, SessionState, WatchedDevice
from txtop.system import throttle

CLOCK_DROP = 0.05
PAGED_BYTES = 1 << 20


@dataclass(frozen=True)
class MachineReadings:
    """The telemetry that a cell depends on: of its GPU, None on a CPU, and of the host.

    `lost_ns` holds the times at which the GPU stopped answering. Times are the session's, in ns.
    """

    gpu: WatchedDevice | None
    host: WatchedDevice | None
    lost_ns: tuple[int, ...] = ()

    @staticmethod
    def from_session(session: SessionState, device_id: str | None) -> MachineReadings:
        """Select the devices of a cell on the GPU `device_id`, None for the CPU."""
        name = session.gpu(device_id) or ""
        lost = tuple(at for at, gap in session.gaps if gap.producer == name)
        return MachineReadings(session.devices.get(name), session.devices.get(HOST), lost)

    def newest_ns(self) -> int:
        """Return the time up to which every device was read, 0 without a device."""
        devices = [d for d in (self.gpu, self.host) if d is not None]
        return min((_newest_reading_ns(d) for d in devices), default=0)


def find_disturbances(
    readings: MachineReadings, since_ns: int, from_ns: int, to_ns: int
) -> list[str]:
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
    return reasons


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
