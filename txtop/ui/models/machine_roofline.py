"""How near a cell comes to what its device can do: the rows `MBU` and `bound by`."""

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

_RATE = "decode_tokens_per_s"


def build_roofline(
    session: SessionState, state: CellState, memo: FrameCache
) -> RooflineView | None:
    """What is to be said of `state`; null where its roofs are not known or nothing ran yet."""
    seed = session.plan.seed

    def mean(name: str) -> float | None:
        return memo.now(state, name, seed).mean

    found = roofline.compute_position(session, state, mean)
    load = state.load
    if found is None or load is None or not (found.error or found.bound or found.mbu):
        return None
    device = session.gpu(load.device_id)
    return RooflineView(
        device=device,
        gauge=_build_gauge(session, state, found) if device or load.device == "cpu" else None,
        bound=found.bound or "",
        share=formatting.format_percent(found.share),
        source=found.source,
        lift=f"{found.lift:.1f}x" if found.lift else "",
        error=found.error,
    )


def _build_gauge(
    session: SessionState, state: CellState, found: roofline.RooflinePosition
) -> Gauge | None:
    if found.mbu is None or not found.ceiling:
        return None
    seen = _collect_recent_mbu(state, found.ceiling, session.clock_ns)
    return Gauge(
        MBU, formatting.format_percent(found.mbu), "%", build_history(seen, session.clock_ns), 100.0
    )


def _collect_recent_mbu(
    state: CellState, ceiling: float, now_ns: int
) -> tuple[array[int], array[float]]:
    """MBU of the iterations of the time that a history shows, at each second that they lasted."""
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
