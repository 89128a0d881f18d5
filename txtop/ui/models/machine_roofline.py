"""The distance of a cell from the roofline of its device: the rows `MBU` and `bound by`."""

from __future__ import annotations

import math
from array import array

from txtop import formatting
from txtop.analysis import metrics, roofline
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.machine import HISTORY_S, MBU, Gauge, RooflineView, build_history
from txtop.units import NS_PER_S

GB = 1e9
_RATE = "decode_tokens_per_s"


def build_roofline(
    session: SessionState, state: CellState, cache: FrameCache
) -> RooflineView | None:
    """Build the roofline of `state`; None if the ceilings are unknown or nothing ran yet."""
    seed = session.plan.seed

    def mean(name: str) -> float | None:
        return cache.summarise_now(state, name, seed).mean

    position = roofline.compute_position(session, state, mean)
    load = state.load
    if position is None or load is None or not (position.error or position.bound or position.mbu):
        return None
    device = session.gpu(load.device_id)
    peaks = session.peaks_of(load)
    peak = peaks.bandwidth_bytes_per_s if peaks and position.mbu is not None else 0.0
    return RooflineView(
        device=device,
        gauge=_build_gauge(session, state, position) if device or load.device == "cpu" else None,
        bound=position.bound or "",
        share=formatting.format_percent(position.share),
        source=position.source,
        lift=f"{position.lift:.1f}x" if position.lift else "",
        reads=formatting.format_number((position.mbu or 0.0) / 100 * peak / GB) if peak else "",
        peak=formatting.format_number(peak / GB) if peak else "",
        error=position.error,
    )


def _build_gauge(
    session: SessionState, state: CellState, position: roofline.RooflinePosition
) -> Gauge | None:
    if position.mbu is None or not position.ceiling:
        return None
    recent = _collect_recent_mbu(state, position.ceiling, session.clock_ns)
    return Gauge(
        MBU,
        formatting.format_percent(position.mbu),
        "%",
        build_history(recent, session.clock_ns),
        100.0,
    )


def _collect_recent_mbu(
    state: CellState, ceiling: float, now_ns: int
) -> tuple[array[int], array[float]]:
    """Return the times and the MBU in percent of the iterations within the history.

    An iteration has a sample at each second that it lasted.
    """
    samples, first = state.samples, len(state.samples)
    while first and samples.at_ns[first - 1] > now_ns - HISTORY_S * NS_PER_S:
        first -= 1
    at_ns, shares = array("q"), array("d")
    for i in range(first, len(samples)):
        rate = metrics.compute_value(state, _RATE, i)
        since = max(0, samples.at_ns[i] - samples.e2e_ns[i], now_ns - HISTORY_S * NS_PER_S)
        for second in range(since // NS_PER_S, samples.at_ns[i] // NS_PER_S + 1):
            at_ns.append(second * NS_PER_S)
            shares.append(math.nan if rate is None else 100 * rate / ceiling)
    return at_ns, shares
