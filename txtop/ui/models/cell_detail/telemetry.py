"""Telemetry of the machine during one cell, over the axis of its iterations.

The axis counts iterations, all equally wide, after a lead that stands for the time of loading: on
an axis of seconds a long load would leave no room for what is measured, and in an A/B the turns of
the other arm would lie between the points. A reading is placed by the iteration in which it was
taken, so that what is drawn under a point happened during it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from txtop import formatting
from txtop.analysis import energy
from txtop.state.cell import CellState
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.system import throttle
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.iterations import (
    IterationsView,
    compute_lead_ns,
    compute_refresh_key,
    order_iterations,
)
from txtop.units import NS_PER_S

Points = tuple[float | None, ...]
TimeSpan = tuple[int, int]
# Bins of the lead, and at most of the axis and of one iteration.
LEAD_BINS = 64
MAX_BINS = 512
MAX_PARTS = 16
# A reading holds until the next one, but no longer than this.
MAX_HOLD_NS = NS_PER_S


@dataclass(frozen=True)
class Trace:
    """One series of the machine in bins; a bin is a part of one iteration, or several iterations.

    `lead` holds the bins before the first iteration. `body` holds those that are over, out of
    `room`. `top` is the full height of a rate drawn from zero, 0 for a series drawn zoomed. With
    `flags` a bin is only set or not. `value` is the mean while the cell measured.
    """

    label: str
    value: str
    unit: str
    lead: Points
    body: Points
    room: int
    top: float = 0.0
    flags: bool = False


@dataclass(frozen=True)
class TraceBins:
    """Start and end of every bin of lead and body, in ns on the session's clock."""

    lead: tuple[TimeSpan, ...]
    body: tuple[TimeSpan, ...]
    room: int


def build_traces(
    session: SessionState, state: CellState, iterations: IterationsView, memo: FrameCache
) -> tuple[Trace, ...]:
    """Build the traces of the cell's device and of the host's processor."""
    loading_s = session.clock_ns // NS_PER_S if not state.samples.role else 0
    key = (compute_refresh_key(state), iterations.room, loading_s)
    return memo.get_or_make("traces", key, lambda: _compute_traces(session, state, iterations.room))


def compute_trace_bins(session: SessionState, state: CellState, room: int) -> TraceBins:
    """Divide the lead and `room` iterations into bins.

    A bin is a part of an iteration, or a group of them if there are more than `MAX_BINS`.
    """
    start, lead_ns = state.started_at_ns, compute_lead_ns(session, state)
    edges = [start + lead_ns * i // LEAD_BINS for i in range(LEAD_BINS + 1)] if lead_ns else []
    before = tuple(pairwise(edges))
    places = order_iterations(state)
    at = [state.samples.at_ns[i] for i in places]
    e2e = [state.samples.e2e_ns[i] for i in places]
    if room > MAX_BINS:
        size = -(-room // MAX_BINS)
        groups = ((i, min(i + size, len(at)) - 1) for i in range(0, len(at), size))
        body = tuple((at[first] - e2e[first], max(at[first : last + 1])) for first, last in groups)
        return TraceBins(before, body, -(-room // size))
    parts = min(MAX_PARTS, MAX_BINS // room)
    body = tuple(
        (end - took + took * part // parts, end - took + took * (part + 1) // parts)
        for end, took in zip(at, e2e, strict=True)
        for part in range(parts)
    )
    return TraceBins(before, body, room * parts)


def _compute_traces(session: SessionState, state: CellState, room: int) -> tuple[Trace, ...]:
    shape = compute_trace_bins(session, state, room)

    def one(
        name: str, series: str, label: str, unit: str, top: float = 0.0, filled: bool = True
    ) -> list[Trace]:
        device = session.devices.get(name)
        if device is None or series not in device.series:
            return []
        at, read = device.series[series]
        before, body = (
            tuple(_compute_mean(at, read, *s) for s in part) for part in _split_bins(shape)
        )
        values = [v for v in (*before, *body) if v is not None]
        if not values:
            return []
        counted = energy.select_measuring_samples(session, state, name, series)
        value = fmean(counted) if counted else values[-1]
        full = max(top, *values, 0.0) if filled else 0.0
        return [Trace(label, formatting.format_number(value), unit, before, body, shape.room, full)]

    host = one(HOST, "cpu_percent", "CPU", "%", 100.0)
    name = _find_gpu(session, state)
    if name is None:
        return (
            *host,
            *one(HOST, "power_w", "RAPL", "W"),
            *one(HOST, "cpu_clock_mhz", "clock", "MHz", filled=False),
        )
    gpu = session.devices[name]
    return (
        *one(name, "utilization", "GPU", "%", 100.0),
        *one(name, "power_w", "power", "W", gpu.last("power_limit_w") or 0.0),
        *one(name, "temperature_c", "temp", "°C", filled=False),
        *one(name, "sm_clock_mhz", "clock", "MHz", filled=False),
        *_build_throttle_trace(gpu, shape),
        *host,
    )


def _find_gpu(session: SessionState, state: CellState) -> str | None:
    """Return the GPU that the cell runs on; before that is known, the only one there is."""
    load = state.load
    if load is not None and load.device_id is not None:
        return session.gpu(load.device_id)
    if "cpu" in (load.device if load else "", state.cell.device):
        return None
    gpus = list_gpus(session)
    return gpus[0][0] if len(gpus) == 1 else None


def _build_throttle_trace(device: WatchedDevice, shape: TraceBins) -> tuple[Trace, ...]:
    """Build the trace of throttling that spoils a measurement; empty if there was none."""
    if "throttle_reasons" not in device.series:
        return ()
    at, read = device.series["throttle_reasons"]
    reasons = {value: throttle.decode_reasons(value)[0] for value in set(read)}
    bad = {value for value, serious in reasons.items() if serious}
    if not bad:
        return ()

    def flag(span: TimeSpan) -> float | None:
        return next((v for v in _select_readings(at, read, *span) if v in bad), None)

    before, body = (tuple(map(flag, part)) for part in _split_bins(shape))
    first = next((v for v in (*before, *body) if v is not None), None)
    if first is None:
        return ()
    return (Trace("slowed", reasons[first][0], "", before, body, shape.room, flags=True),)


def _split_bins(shape: TraceBins) -> tuple[tuple[TimeSpan, ...], tuple[TimeSpan, ...]]:
    return shape.lead, shape.body


def _select_readings(at: array[int], read: array[float], from_ns: int, to_ns: int) -> list[float]:
    """Return the readings of a time span; without any, the last one before it, if recent."""
    low = bisect_left(at, from_ns)
    readings = [v for v in read[low : bisect_right(at, to_ns)] if not math.isnan(v)]
    if readings or not low or from_ns - at[low - 1] > MAX_HOLD_NS or math.isnan(read[low - 1]):
        return readings
    return [read[low - 1]]


def _compute_mean(at: array[int], read: array[float], from_ns: int, to_ns: int) -> float | None:
    readings = _select_readings(at, read, from_ns, to_ns)
    return fmean(readings) if readings else None
