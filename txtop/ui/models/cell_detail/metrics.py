"""Every metric of one cell: as exported once it is over, before that the live figures."""

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

# In the order of the table: throughput, latencies, what follows from them, then machine and cost.
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
    "prefix_cached": "cached",
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
    """One metric with its interval and percentiles.

    A percentile is None where there are too few values. `note` explains a missing mean.
    """

    label: str
    unit: str
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    percentiles: tuple[tuple[int, float | None], ...] = ()
    note: str = ""


def build_detail_metrics(
    session: SessionState, state: CellState, cache: FrameCache
) -> tuple[DetailMetric, ...]:
    """Build the final metrics of a cell that is over, else the live ones."""
    make = _build_final_metrics if state.over else _build_live_metrics
    return cache.get_or_make(
        "metrics", compute_refresh_key(state), lambda: make(session, state, cache)
    )


def _choose_labels(state: CellState) -> dict[str, str]:
    if state.cell.serving is not None:
        return METRIC_LABELS
    return (
        ENCODER_LABELS | METRIC_LABELS | ENCODER_LABELS
        if state.family == "encoder"
        else METRIC_LABELS
    )


def _build_final_metrics(
    session: SessionState, state: CellState, cache: FrameCache
) -> tuple[DetailMetric, ...]:
    if not state.samples.role:
        return ()
    cache.summarise_final(state, metrics.choose_headline_metric(state), session.plan.seed)
    summaries = cache.finals.of(state, session.plan.seed)
    summaries = {
        **summaries,
        **_summarise_device(session, state),
        **energy.summarise_joules(session, state),
    }
    summaries |= metrics.compute_cost(state, summaries, session.plan.cost_per_hour)
    labels = _choose_labels(state)
    server_wide = serving.SERVER_METRICS if state.cell.serving is not None else ()
    return tuple(
        _build_metric(labels[name], summaries[name], spread=name not in server_wide)
        for name in labels
        if name in summaries
    )


def _summarise_device(session: SessionState, state: CellState) -> dict[str, Summary]:
    """Summarise utilisation and power by the mean that the export has.

    The interval is left out: computing it takes long for a long cell.
    """
    name = session.gpu(state.load.device_id) if state.load else None
    summaries: dict[str, Summary] = {}
    reason = energy.explain_too_short(session, state)
    for metric, (series, unit) in energy.GPU_METRICS.items():
        readings = energy.select_measuring_samples(session, state, name, series) if name else []
        if readings and reason:
            summaries[metric] = Summary(unit=unit, n=0, notes=[reason])
        elif readings:
            summaries[metric] = Summary(unit=unit, n=1, mean=fmean(readings))
    return summaries


def _build_metric(label: str, summary: Summary, *, spread: bool = True) -> DetailMetric:
    """Build the row of a summary; a metric of the server as a whole has no `spread`."""
    computed = ((50, summary.p50), (90, summary.p90), (99, summary.p99))
    percentiles = computed if spread and summary.n > 1 else ()
    note = summary.notes[0] if summary.mean is None and summary.notes else ""
    unit, mean = summary.unit, summary.mean
    if unit == "share" and mean is not None:
        unit, mean = "%", 100 * mean
    return DetailMetric(label, UNIT_LABELS.get(unit, unit), mean, summary.ci95, percentiles, note)


def _build_live_metrics(
    session: SessionState, state: CellState, cache: FrameCache
) -> tuple[DetailMetric, ...]:
    names = metrics.list_metrics(state)
    labels = _choose_labels(state)
    rows = {name: _build_live_metric(labels[name], name, state, cache) for name in names}
    if "ttft_ms" in names:
        rows["itl_ms"] = _build_itl_metric(state)
    for name, summary in serving.summarise_server(state).items():
        rows[name] = _build_metric(labels[name], summary, spread=False)
    return tuple(rows[name] for name in labels if name in rows)


def _build_live_metric(label: str, name: str, state: CellState, cache: FrameCache) -> DetailMetric:
    now, values = cache.summarise_live(state, name), metrics.compute_values(state, name)
    unit = ITERATION_METRICS[name][0]
    return DetailMetric(label, unit, now.mean, now.ci95, _compute_percentiles(values, now.n))


def _build_itl_metric(state: CellState) -> DetailMetric:
    gaps, means = metrics.compute_itl_ms(state)
    mean = sum(gaps) / len(gaps) if gaps else None
    percentiles = _compute_percentiles(gaps, len(means))
    return DetailMetric(METRIC_LABELS["itl_ms"], "ms", mean, percentiles=percentiles)


def _compute_percentiles(values: Sequence[float], n: int) -> tuple[tuple[int, float | None], ...]:
    ordered = sorted(values)
    return tuple((p, compute_percentile_above_floor(ordered, n, p)) for p in PERCENTILES)
