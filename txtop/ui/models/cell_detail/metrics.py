"""Every metric of one cell: as the export has it, or while the cell runs as far as it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from txtop.analysis import energy, metrics, serving
from txtop.analysis.metrics import ITERATION_METRICS
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import Summary, compute_percentile_above_floor
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.iterations import compute_refresh_key

# What a cell is run for, latencies, what follows from them, then the machine, energy and money.
METRIC_LABELS = {
    "tokens_per_s": "tok/s",
    "output_tokens_per_s": "tok/s",
    "requests_per_s": "req/s",
    "queue_ms": "queue",
    "ttft_ms": "TTFT",
    "tpot_ms": "TPOT",
    "itl_ms": "ITL",
    "e2e_ms": "E2E",
    "encoder_ms": "encoder",
    "prefill_tokens_per_s": "prefill",
    "decode_tokens_per_s": "decode",
    "sequences_per_s": "seq/s",
    "in_service": "served",
    "occupancy": "slots",
    "padding_waste": "padding",
    "kv_cache_use": "KV used",
    "load_lateness": "late",
    "goodput_requests_per_s": "goodput",
    "goodput_share": "in SLO",
    "gpu_utilization": "GPU",
    "power_w": "power",
    "energy_j_per_token": "energy",
    "energy_j_per_sequence": "energy",
    "energy_net_j_per_token": "net",
    "energy_net_j_per_sequence": "net",
    "cost_per_million_tokens": "cost",
    "cost_per_million_sequences": "cost",
}
ENCODER_LABELS = {"sequences_per_s": "seq/s", "e2e_ms": "forward"}
UNIT_LABELS = {"requests": "req"}
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class DetailMetric:
    """One metric. A percentile is null where `n` is too small for it; `note` says why there is no
    mean."""

    label: str
    unit: str
    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    percentiles: tuple[tuple[int, float | None], ...] = ()
    note: str = ""


def build_detail_metrics(
    session: SessionState, state: CellState, memo: FrameCache
) -> tuple[DetailMetric, ...]:
    """Final ones once the cell is over, before that what can be said."""
    make = _build_final_metrics if state.over else _build_live_metrics
    return memo.kept("figures", compute_refresh_key(state), lambda: make(session, state, memo))


def _choose_labels(state: CellState) -> dict[str, str]:
    if state.cell.serving is not None:
        return METRIC_LABELS
    return (
        ENCODER_LABELS | METRIC_LABELS | ENCODER_LABELS
        if state.family == "encoder"
        else METRIC_LABELS
    )


def _build_final_metrics(
    session: SessionState, state: CellState, memo: FrameCache
) -> tuple[DetailMetric, ...]:
    if not state.samples.role:
        return ()
    memo.ended(state, metrics.choose_headline_metric(state), session.plan.seed)
    found = memo.finals.of(state, session.plan.seed)
    found = {
        **found,
        **_summarise_device(session, state),
        **energy.summarise_joules(session, state),
    }
    found |= metrics.compute_cost(state, found, session.plan.cost_per_hour)
    labels = _choose_labels(state)
    whole = serving.SERVER_METRICS if state.cell.serving is not None else ()
    return tuple(
        _build_metric(labels[name], found[name], spread=name not in whole)
        for name in labels
        if name in found
    )


def _summarise_device(session: SessionState, state: CellState) -> dict[str, Summary]:
    """The means of the export; without an interval, which takes long for a long cell."""
    name = session.gpu(state.load.device_id) if state.load else None
    found: dict[str, Summary] = {}
    for metric, series, unit in (
        ("gpu_utilization", "utilization", "%"),
        ("power_w", "power_w", "W"),
    ):
        read = energy.select_measuring_samples(session, state, name, series) if name else []
        if read:
            found[metric] = Summary(unit=unit, n=1, mean=fmean(read))
    return found


def _build_metric(label: str, found: Summary, *, spread: bool = True) -> DetailMetric:
    """What a server does as a whole has no `spread`."""
    known = ((50, found.p50), (90, found.p90), (99, found.p99))
    percentiles = known if spread and found.n > 1 else ()
    note = found.notes[0] if found.mean is None and found.notes else ""
    unit, mean = found.unit, found.mean
    if unit == "share" and mean is not None:
        unit, mean = "%", 100 * mean
    return DetailMetric(
        label, UNIT_LABELS.get(unit, unit), found.n, mean, found.ci95, percentiles, note
    )


def _build_live_metrics(
    session: SessionState, state: CellState, memo: FrameCache
) -> tuple[DetailMetric, ...]:
    known = metrics.list_metrics(state)
    labels = _choose_labels(state)
    found = {name: _build_live_metric(labels[name], name, state, memo) for name in known}
    if "ttft_ms" in known:
        found["itl_ms"] = _build_itl_metric(state)
    for name, summary in serving.summarise_server(state).items():
        found[name] = _build_metric(labels[name], summary, spread=False)
    return tuple(found[name] for name in labels if name in found)


def _build_live_metric(label: str, name: str, state: CellState, memo: FrameCache) -> DetailMetric:
    now, values = memo.live(state, name), metrics.compute_values(state, name)
    unit = ITERATION_METRICS[name][0]
    return DetailMetric(label, unit, now.n, now.mean, now.ci95, _compute_percentiles(values, now.n))


def _build_itl_metric(state: CellState) -> DetailMetric:
    gaps, means = metrics.compute_itl_ms(state)
    mean = sum(gaps) / len(gaps) if gaps else None
    return DetailMetric(
        METRIC_LABELS["itl_ms"],
        "ms",
        len(means),
        mean,
        None,
        _compute_percentiles(gaps, len(means)),
    )


def _compute_percentiles(values: Sequence[float], n: int) -> tuple[tuple[int, float | None], ...]:
    ordered = sorted(values)
    return tuple((p, compute_percentile_above_floor(ordered, n, p)) for p in PERCENTILES)
