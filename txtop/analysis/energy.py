"""Summarise the device under a cell while it measured: utilisation, power and energy.

The physics is in `stats.energy`; this module selects the time and the readings. Definitions:
docs/method.md, "Telemetry, energy, money".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from txtop.analysis.places import explain_shared_power
from txtop.state.cell import CellState
from txtop.state.session import HOST, SessionState, WatchedDevice
from txtop.stats import energy
from txtop.stats.energy import Energy
from txtop.stats.summary import Summary, summarise, summarise_single

# The metrics of a GPU under a cell: the telemetry series of each, and its unit.
GPU_METRICS = {"gpu_utilization": ("utilization", "%"), "power_w": ("power_w", "W")}
HOST_IDLE = "idle: before the first worker"
# A context alone holds higher clocks than this idle.
GPU_IDLE = "idle: before anything was loaded, without a context"
EMPTY_SERIES: energy.TimeSeries = ((), ())
# An iteration that starts within this time of the previous end is of the same turn of its arm.
MAX_TURN_GAP_NS = 50_000_000


def select_measuring_samples(
    session: SessionState, state: CellState, device: str, series: str
) -> list[float]:
    """Return the readings of one telemetry series taken while this cell measured.

    Gaps (NaN) are left out; empty if the device or the series is not there.
    """
    if device not in session.devices or series not in session.devices[device].series:
        return []
    at, read = session.devices[device].series[series]
    return [
        v
        for low, high in find_work_intervals(session, state)
        for v in read[bisect_left(at, low) : bisect_right(at, high)]
        if v == v
    ]


def find_work_intervals(session: SessionState, state: CellState) -> list[tuple[int, int]]:
    """Return when the device worked for this cell, as (from, to) in ns on the session's clock.

    This is one interval from the first measured iteration to the last; of a cell that takes turns
    it is one for each turn that counts.
    """
    if not session.takes_turns:
        return [(state.measured_from_ns, state.measured_to_ns)] if state.measured_to_ns else []
    intervals: list[tuple[int, int]] = []
    samples = state.samples
    for i in samples.kept():
        end_ns, e2e_ns = samples.at_ns[i], samples.e2e_ns[i]
        if intervals and end_ns - e2e_ns - intervals[-1][1] < MAX_TURN_GAP_NS:
            intervals[-1] = (intervals[-1][0], end_ns)
        else:
            intervals.append((max(0, end_ns - e2e_ns), end_ns))
    return intervals


def explain_too_short(session: SessionState, state: CellState) -> str:
    """Return why a GPU's power and utilisation are not this cell's; empty if they are.

    The rule is that of energy: a single interval of 2 s, turns of 1 s each.
    """
    intervals = find_work_intervals(session, state)
    if session.takes_turns:
        return energy.explain_too_short_turns(intervals)
    return energy.explain_too_short(intervals[0]) if intervals else ""


def summarise_device(session: SessionState, state: CellState) -> dict[str, Summary]:
    """Return GPU utilisation and power, and the energy figures of `summarise_joules`.

    Utilisation and power of too short a cell have no value, and a note that says so.
    """
    name = session.gpu(state.load.device_id) if state.load else None
    summaries: dict[str, Summary] = {}
    if name is not None:
        reason = explain_too_short(session, state)
        for metric, (series, unit) in GPU_METRICS.items():
            summaries[metric] = (
                Summary(unit=unit, n=0, notes=[reason])
                if reason
                else summarise(select_measuring_samples(session, state, name, series), unit)
            )
    return {**summaries, **summarise_joules(session, state)}


def summarise_joules(session: SessionState, state: CellState) -> dict[str, Summary]:
    """Return joules per token or sequence, gross first, then net of idle.

    Energy is that of the whole time from the first measured iteration to the last (of a cell that
    takes turns, of those that count), divided by everything made in that time. Empty if the device
    reports neither energy nor power.
    """
    name = session.gpu(state.load.device_id) if state.load else None
    device = session.devices.get(name or HOST)
    made = _count_made(session, state)
    if device is None or not made or not device.series.keys() & {"energy_j", "power_w"}:
        return {}
    shared = explain_shared_power(session, state) if name is None else ""
    used = Energy(0.0, reason=shared) if shared else _compute_cell_energy(session, state, device)
    what, unit = ("sequence", "J/seq") if state.family == "encoder" else ("token", "J/tok")
    above_idle = _compute_net(used, compute_idle(session, name or HOST))
    return {
        f"energy_j_per_{what}": _summarise_per_unit(used, made, unit),
        f"energy_net_j_per_{what}": _summarise_per_unit(
            above_idle, made, unit, HOST_IDLE if name is None else GPU_IDLE
        ),
    }


def compute_idle(session: SessionState, name: str) -> Energy:
    """Return the energy that a device used before the run put work on it.

    For the CPU that ends when the first worker starts, for a GPU when the first weights are sent to
    it; for both when outputs are compared before that.
    """
    until_ns = session.first_cell_ns if name == HOST else session.first_to_device_ns
    device = session.devices.get(name)
    if device is None or not until_ns:
        return Energy(0.0, reason="no idle power was read")
    at = [t for key in ("energy_j", "power_w") for t in device.series.get(key, EMPTY_SERIES)[0]]
    before = [t for t in at if t <= until_ns]
    if not before:
        return Energy(0.0, reason="no idle power was read")
    return _compute_used(device, min(before), max(before))


def _compute_cell_energy(session: SessionState, state: CellState, device: WatchedDevice) -> Energy:
    if not session.takes_turns:
        return _compute_used(device, state.measured_from_ns, state.measured_to_ns)
    counter, power = (device.series.get(key, EMPTY_SERIES) for key in ("energy_j", "power_w"))
    return energy.compute_energy_of_turns(counter, power, find_work_intervals(session, state))


def _compute_used(device: WatchedDevice, from_ns: int, to_ns: int) -> Energy:
    counter, power = (device.series.get(key, EMPTY_SERIES) for key in ("energy_j", "power_w"))
    return energy.compute_energy(counter, power, from_ns, to_ns)


def _compute_net(used: Energy, idle: Energy) -> Energy:
    if idle.watts is None:
        return Energy(used.seconds, reason=f"idle: {idle.reason}")
    return energy.subtract_idle(used, idle.watts)


def _count_made(session: SessionState, state: CellState) -> int:
    """Count tokens (encoder: sequences) of the time that energy is of.

    Repeated blocks are a part of it, but for a cell that takes turns.
    """
    samples = state.samples
    own = (i for i in range(samples.since, len(samples)) if samples.role[i] == "measured")
    made = samples.kept() if session.takes_turns else own
    return sum(map(state.count_work, made))


def _summarise_per_unit(used: Energy, made: int, unit: str, idle: str = "") -> Summary:
    """Summarise the energy of a token or sequence; `idle` names what was subtracted from it."""
    if used.joules is None:
        return Summary(unit=unit, n=0, notes=[used.reason])
    label = "" if used.source == "counter" else f"from {used.source}"
    summary = summarise_single(used.joules / made, unit, label)
    summary.notes += [idle] if idle else []
    return summary
