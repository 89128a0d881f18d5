"""The one most likely reason for a cell's speed, from what a run reads anyway: no profiler runs.

Pure, and empty without evidence: a reason that is only likely is left to `txtop explain`.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from txtop.analysis import energy
from txtop.analysis.device_time import find_busy_step
from txtop.analysis.finding_rules import BANDWIDTH_FROM, IDLE_FROM
from txtop.analysis.roofline import compute_position
from txtop.formatting import format_share
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

ARITHMETIC_FROM = 50.0
"""The percent of the peak FLOP/s from which on arithmetic is the reason."""
LEAST_READ_NS = 2 * NS_PER_S
"""The time over which a GPU's utilisation is read: NVML averages it over up to a second."""


def find_live_reason(
    session: SessionState, state: CellState, mean: Callable[[str], float | None]
) -> str:
    """Return the reason with its evidence, as `memory-bound: MBU 71 %`; empty without any.

    `mean` returns the cell's mean of a metric so far, by its name.
    """
    step = find_busy_step(session, state)
    if step is not None and step.launch_bound:
        return f"launch-bound: GPU busy {format_share(step.share)} of a step"
    position = compute_position(session, state, mean)
    if position is not None and not position.error:
        if position.mbu is not None and position.mbu >= BANDWIDTH_FROM:
            return f"memory-bound: MBU {position.mbu:.0f} %"
        share = position.share
        if position.bound == "arithmetic" and share is not None and share >= ARITHMETIC_FROM:
            return f"compute-bound: {share:.0f} % of the peak"
    used = _read_utilisation(session, state)
    if step is None and used is not None and used < IDLE_FROM:
        return f"waits for the host: GPU utilisation {format_share(used)}"
    return ""


def _read_utilisation(session: SessionState, state: CellState) -> float | None:
    """Return the mean utilisation of a cell's GPU while it was measured; None if not known."""
    device = session.gpu(state.load.device_id) if state.load is not None else None
    worked_ns = sum(high - low for low, high in energy.find_work_intervals(session, state))
    if device is None or worked_ns < LEAST_READ_NS:
        return None
    readings = energy.select_measuring_samples(session, state, device, "utilization")
    return fmean(readings) / 100 if readings else None
