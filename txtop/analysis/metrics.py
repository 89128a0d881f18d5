"""Derive the metrics of a cell from its samples: live ones cheaply, final ones once it ended.

Formulas: docs/method.md, "Metrics". Names are those of the export (`ttft_ms`, `tpot_ms`, `itl_ms`,
...). The per-iteration functions return None if the iteration has no such value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from txtop.analysis import contention, drafts, serving
from txtop.formatting import format_count, format_share
from txtop.plan.tuning import LimitedTime
from txtop.state.cell import CellState
from txtop.stats import intervals, steady_state, warmup
from txtop.stats.cost import compute_cost_per_million
from txtop.stats.queueing import compute_batch_means_interval
from txtop.stats.steady_state import DRIFTED_NOTE, SteadyState
from txtop.stats.summary import (
    FAIR_FROM,
    Summary,
    classify_variation,
    compute_interval_over_starts,
    compute_relative_half_width,
    invert_interval,
    summarise,
    summarise_single,
)
from txtop.units import NS_PER_MS, NS_PER_S

# The CV under which `is_stable` calls a live figure stable.
STABLE_CV = 0.02
LATE_STREAMER_NOTE = "withheld: the streamer was a step late"
LOAD_PHASES = (
    "import",
    "config",
    "weights",
    "convert",
    "to_device",
    "first_forward",
    "compile",
)

MetricFunction = Callable[[CellState, int], float | None]
# (start, number of iterations, which of them count, whether peak memory is there); figures are kept
# while it is equal.
FinalsKey = tuple[int, int, tuple[int, ...], bool]


def _time_ms(time: LimitedTime, state: CellState, i: int) -> float | None:
    time_ns = state.read_time_ns(time, i)
    return None if time_ns is None else time_ns / NS_PER_MS


def _encoder_ms(state: CellState, i: int) -> float | None:
    encoder = state.samples.encoder_ns[i]
    return None if encoder < 0 else encoder / NS_PER_MS


def _prefill_tokens_per_s(state: CellState, i: int) -> float | None:
    """Compute batch x ISL / TTFT; of prompts of a file the tokens of the batch, without padding."""
    ttft = state.samples.ttft_ns[i]
    work = state.samples.prompt_tokens[i]
    if work < 0:
        work = state.cell.batch_size * state.cell.sequence_length
    return None if ttft <= 0 or state.lag else work / ttft * NS_PER_S


def _decode_tokens_per_s(state: CellState, i: int) -> float | None:
    """Compute batch x (OSL - 1) / (E2E - TTFT)."""
    s = state.samples
    decode_ns = s.e2e_ns[i] - s.ttft_ns[i]
    if s.ttft_ns[i] < 0 or s.tokens[i] < 2 or decode_ns <= 0 or state.lag:
        return None
    return state.cell.batch_size * (s.tokens[i] - 1) / decode_ns * NS_PER_S


def _tokens_per_s(state: CellState, i: int) -> float | None:
    """Compute batch x OSL / E2E, prefill included."""
    s = state.samples
    if not s.tokens[i]:
        return None
    return state.cell.batch_size * s.tokens[i] / s.e2e_ns[i] * NS_PER_S


def _sequences_per_s(state: CellState, i: int) -> float | None:
    """Compute batch / E2E; for an encoder E2E is its forward time."""
    return state.cell.batch_size / state.samples.e2e_ns[i] * NS_PER_S


def _no_request_value(_state: CellState, _i: int) -> float | None:
    """Return None: a metric of the whole server has no value for a single request."""
    return None


ITERATION_METRICS: dict[str, tuple[str, MetricFunction]] = {
    "queue_ms": ("ms", serving.compute_queue_ms),
    "ttft_ms": ("ms", partial(_time_ms, "ttft")),
    "tpot_ms": ("ms", partial(_time_ms, "tpot")),
    "e2e_ms": ("ms", partial(_time_ms, "e2e")),
    "encoder_ms": ("ms", _encoder_ms),
    "prefill_tokens_per_s": ("tok/s", _prefill_tokens_per_s),
    "decode_tokens_per_s": ("tok/s", _decode_tokens_per_s),
    "tokens_per_s": ("tok/s", _tokens_per_s),
    "sequences_per_s": ("seq/s", _sequences_per_s),
    "output_tokens_per_s": ("tok/s", _no_request_value),
    "requests_per_s": ("req/s", _no_request_value),
}
_BATCH_METRICS = tuple(
    n for n in ITERATION_METRICS if n != "queue_ms" and n not in serving.SERVER_METRICS
)
FAMILY_METRICS = {
    "causal": tuple(name for name in _BATCH_METRICS if name != "encoder_ms"),
    "seq2seq": _BATCH_METRICS,
    "encoder": ("e2e_ms", "sequences_per_s"),
}
_REQUEST_METRICS = ("queue_ms", "ttft_ms", "tpot_ms", "e2e_ms")


def list_metrics(state: CellState) -> tuple[str, ...]:
    """Return the metrics that each iteration or request of this cell has."""
    if state.cell.serving is None:
        return FAMILY_METRICS.get(state.family or "", ())
    return ("queue_ms", "e2e_ms") if state.family == "encoder" else _REQUEST_METRICS


def choose_headline_metric(state: CellState, family: str | None = None) -> str:
    """Return the metric that a cell is run for: tokens/s, or sequences/s for an encoder.

    For a server it is the rate of the server as a whole. `family` is what is expected of a model
    that is not loaded yet.
    """
    encoder = (state.family or family) == "encoder"
    if state.cell.serving is not None:
        return "requests_per_s" if encoder else "output_tokens_per_s"
    return "sequences_per_s" if encoder else "tokens_per_s"


def get_headline_unit(state: CellState) -> str:
    """Return the unit of the metric that a cell is run for."""
    return ITERATION_METRICS[choose_headline_metric(state)][0]


def compute_values(state: CellState, name: str, places: list[int] | None = None) -> list[float]:
    """Return the values of metric `name` over the measured iterations, or over those at `places`.

    Iterations without a value are left out. A rate of a server has ten values, one for each part of
    the window.
    """
    if name in serving.SERVER_METRICS:
        return serving.compute_rates(state, name) if len(state.samples.kept()) > 1 else []
    _, series = ITERATION_METRICS[name]
    kept = state.samples.kept() if places is None else places
    return [v for i in kept if (v := series(state, i)) is not None]


def compute_value(state: CellState, name: str, i: int) -> float | None:
    """Return metric `name` of iteration i."""
    return ITERATION_METRICS[name][1](state, i)


def compute_itl_ms(
    state: CellState, places: list[int] | None = None
) -> tuple[list[float], list[float]]:
    """Return all gaps between tokens, and the mean gap of each iteration.

    They are of the measured iterations, or of those at `places`; the first token of an iteration
    ends no gap. Tokens that one step of speculative decoding yields come together, at its end.
    """
    if state.lag:
        return [], []
    gaps: list[float] = []
    means: list[float] = []
    for i in state.samples.kept() if places is None else places:
        own = [g / NS_PER_MS for g in state.samples.gaps(i)[1:]]
        if own:
            gaps += own
            means.append(fmean(own))
    return gaps, means


@dataclass(frozen=True)
class LiveSummary:
    """A light summary while a cell runs: mean, Student's t interval, coefficient of variation."""

    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    cv: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval as a share of the mean."""
        return compute_relative_half_width(self.mean, self.ci95)


def summarise_live(state: CellState, name: str) -> LiveSummary:
    """Summarise metric `name` of a cell so far; cheap enough for every frame.

    Rates are averaged as their reciprocal times, as in the final figures. A cell whose machine was
    busy has no interval.
    """
    now = _summarise_live(state, name)
    starts = _list_starts(state, partial(compute_values, state, name))
    if starts is not None:
        rate = ITERATION_METRICS[name][0].endswith("/s")
        now = replace(now, ci95=compute_interval_over_starts(starts, rate=rate)[0])
    return replace(now, ci95=None) if contention.is_busy(state) else now


def _summarise_live(state: CellState, name: str) -> LiveSummary:
    if name in serving.SERVER_METRICS:
        rate = serving.summarise_rate(state, name)
        return LiveSummary(rate.n, rate.mean, rate.ci95)
    x = compute_values(state, name)
    if len(x) < 2:
        return LiveSummary(len(x), x[0] if x else None)
    if state.cell.serving is not None:
        ordered = compute_values(state, name, serving.sort_by_arrival(state))
        return LiveSummary(len(x), fmean(x), compute_batch_means_interval(ordered))
    if not ITERATION_METRICS[name][0].endswith("/s"):
        mean = fmean(x)
        cv = intervals.compute_deviation(x, mean) / mean if mean else None
        return LiveSummary(len(x), mean, intervals.compute_student_t_interval(x), cv)
    times = [1 / v for v in x]
    mean, ci = fmean(times), intervals.compute_student_t_interval(times)
    cv = intervals.compute_deviation(times, mean) / mean
    return LiveSummary(len(x), 1 / mean, invert_interval(ci) if ci else None, cv)


def _list_starts(
    state: CellState, compute: Callable[[list[int]], list[float]]
) -> list[list[float]] | None:
    """Return what `compute` makes of the places of each start; None where there is one alone."""
    if state.samples.start_ends is None:
        return None
    return list(map(compute, state.samples.list_starts()))


def describe_starts(state: CellState) -> str:
    """Describe what the interval of the headline is over; empty for a cell of one start alone, and
    for one that has none since its machine was busy.
    """
    name = choose_headline_metric(state)
    starts = _list_starts(state, partial(compute_values, state, name))
    if starts is None or not state.samples.kept() or contention.is_busy(state):
        return ""
    return compute_interval_over_starts(starts, rate=True)[1]


def is_stable(now: LiveSummary) -> bool:
    """Return whether a cell varies little: 10 iterations, CV under 2 %, and an interval.

    A series with a trend has no interval, nor has one from a busy machine.
    """
    return now.n >= 10 and now.ci95 is not None and now.cv is not None and now.cv < STABLE_CV


def is_warm(state: CellState) -> bool:
    """Return whether the warm-up iterations had become flat when they ended."""
    roles = state.samples.role
    return warmup.is_flat([state.samples.e2e_ns[i] for i, r in enumerate(roles) if r == "warmup"])


def judge_cell(state: CellState) -> SteadyState:
    """Find the steady part of the measured iterations from their durations.

    A warm-up cut that the user chose is where it begins; of a server every request counts. So does
    every block that took turns with those of other cells: they are compared block by block. Those
    of several starts are not judged: what differs from start to start would be a trend.
    """
    if state.cell.serving is not None or state.samples.start_ends is not None:
        return SteadyState(len(state.samples.kept()))
    durations = [state.samples.e2e_ns[i] for i in state.samples.kept()]
    is_cut = state.in_turns or state.samples.cut is not None
    return steady_state.judge_series(durations, 0 if is_cut else None)


def select_final_iterations(state: CellState) -> list[int]:
    """Return the places of the iterations that the final figures are made of."""
    return state.samples.kept()[judge_cell(state).start :]


def compute_mean(state: CellState, name: str) -> float | None:
    """Return the mean of metric `name` as tables state it, without an interval.

    A cell that is over has that of its steady part, a running one that of all so far; the mean of a
    rate is all work over all time. None without a value.
    """
    values = compute_values(state, name, select_final_iterations(state) if state.over else None)
    if not values:
        return None
    is_rate = ITERATION_METRICS[name][0].endswith("/s")
    return 1 / fmean(1 / v for v in values) if is_rate else fmean(values)


def list_compared_iterations(state: CellState) -> list[list[int]]:
    """Return the places by which a cell is compared with one of another session.

    Each complete one of several starts has its own, as a session has.
    """
    return list(filter(None, state.samples.list_starts())) or [select_final_iterations(state)]


def list_comparison_times_ns(state: CellState) -> list[list[float]]:
    """Return the times in ns by which two cells are compared: E2E of `list_compared_iterations`.

    For a server they are the mean E2E of ten batches of neighbours, for requests that meet in a
    queue are slow together.
    """
    if state.cell.serving is not None:
        return [serving.compute_batch_times_ns(state)]
    e2e_ns = state.samples.e2e_ns
    return [[float(e2e_ns[i]) for i in places] for places in list_compared_iterations(state)]


def summarise_final(
    state: CellState, seed: int = 0, steady_part: SteadyState | None = None
) -> dict[str, Summary]:
    """Return every metric of a cell that has ended; heavy (bootstrap), so callers keep the result.

    Figures come from the `steady_part`, by default that of `judge_cell`. Those of a server come
    from every request, for load is never steady.
    """
    if state.cell.serving is not None:
        return {
            **(_summarise_load(state) if state.load else {}),
            **_summarise_served(state, seed),
            **_summarise_memory(state),
        }
    steady_part = steady_part or judge_cell(state)
    places = state.samples.kept()[steady_part.start :]
    figures = _summarise_load(state) if state.load else {}
    steady_figures: dict[str, Summary] = {}
    for name in FAMILY_METRICS.get(state.family or "", ()):
        unit, _ = ITERATION_METRICS[name]
        rate = unit.endswith("/s")
        steady_figures[name] = summarise(
            compute_values(state, name, places),
            unit,
            rate=rate,
            seed=seed,
            starts=_list_starts(state, partial(compute_values, state, name)),
        )
    if state.family in ("causal", "seq2seq"):
        gaps, means = compute_itl_ms(state, places)
        starts = _list_starts(state, lambda start: compute_itl_ms(state, start)[1])
        steady_figures["itl_ms"] = summarise(
            gaps, "ms", per_iteration=means, seed=seed, starts=starts
        )
    busy = contention.is_busy(state)
    for summary in steady_figures.values():
        _explain_missing(state, summary)
        if steady_part.steady is False and summary.ci95 is not None:
            summary.ci95 = None
            summary.notes.append(DRIFTED_NOTE)
        if summary.ci95 is not None and busy:
            summary.ci95 = None
            summary.notes.append(contention.NO_INTERVAL_NOTE)
    first = steady_figures.get(choose_headline_metric(state))
    if first is not None and first.mean and first.stdev is not None:
        cv = first.stdev / first.mean
        if cv >= FAIR_FROM:
            first.notes.append(f"CV {format_share(cv)}: {classify_variation(cv, first.n)}")
    more = {**drafts.summarise_drafts(state, places), **_summarise_memory(state)}
    return {**figures, **steady_figures, **more}


def _summarise_served(state: CellState, seed: int) -> dict[str, Summary]:
    places = serving.sort_by_arrival(state)
    figures = {
        name: serving.summarise_requests(
            compute_values(state, name, places), ITERATION_METRICS[name][0], seed
        )
        for name in list_metrics(state)
    }
    if state.family != "encoder":
        gaps, means = compute_itl_ms(state, places)
        figures["itl_ms"] = summarise(gaps, "ms", per_iteration=means, seed=seed)
    for summary in figures.values():
        _explain_missing(state, summary)
    figures |= serving.summarise_server(state)
    cut = serving.count_totals(state).unanswered
    for name, summary in figures.items():
        if state.saturated and name.endswith("_ms"):
            summary.notes.append(serving.SATURATED_NOTE)
        if cut and name in list_metrics(state):
            summary.notes.append(f"{format_count(cut, 'request')} not answered in time")
    return figures


def compute_cost(
    state: CellState, figures: dict[str, Summary], per_hour: float | None
) -> dict[str, Summary]:
    """Return the cost of a million tokens (or sequences); empty without a price `per_hour`."""
    rate = figures.get(choose_headline_metric(state))
    if per_hour is None or rate is None:
        return {}
    what, unit = ("sequences", "$/Mseq") if state.family == "encoder" else ("tokens", "$/Mtok")
    return {f"cost_per_million_{what}": compute_cost_per_million(rate, per_hour, unit)}


def _explain_missing(state: CellState, summary: Summary) -> None:
    """Add a note that gives the reason why a metric of a measured cell has no value."""
    if not summary.n and state.samples.kept():
        several = state.cell.speculative != "none" and state.cell.new_tokens > 1
        few = "all tokens came in one step" if several else "one new token"
        summary.notes = [LATE_STREAMER_NOTE if state.lag else f"no value: {few}"]


def _summarise_load(state: CellState) -> dict[str, Summary]:
    load = state.load
    assert load is not None
    figures = {"load_s": summarise_single(load.load_s, "s", "shared")}
    for phase in LOAD_PHASES:
        if phase in load.phases:
            figures[f"load_{phase}_s"] = summarise_single(load.phases[phase], "s", "shared")
    return figures


def _summarise_memory(state: CellState) -> dict[str, Summary]:
    peak = state.memory
    cache = {} if state.cache_bytes is None else {"kv_cache_bytes": float(state.cache_bytes)}
    if peak is None:
        return {name: summarise_single(v, "bytes", "") for name, v in cache.items()}
    figures = {
        "peak_memory_host_bytes": peak.host_bytes,
        "peak_memory_allocated_bytes": peak.allocated_bytes,
        "peak_memory_reserved_bytes": peak.reserved_bytes,
        "peak_memory_device_bytes": peak.device_bytes,
        **cache,
    }
    return {
        name: summarise_single(float(v), "bytes", "")
        for name, v in figures.items()
        if v is not None
    }


class FinalMetrics:
    """A cache of the final metrics of each cell, computed when they are first requested."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[FinalsKey, SteadyState, dict[str, Summary]]] = {}

    def of(self, state: CellState, seed: int = 0) -> dict[str, Summary]:
        """Return the final metrics of a cell, computed again only if iterations were added."""
        return self._final(state, seed)[2]

    def steady(self, state: CellState, seed: int = 0) -> SteadyState:
        """Return the steady part of the measured iterations that those metrics come from."""
        return self._final(state, seed)[1]

    def _final(
        self, state: CellState, seed: int
    ) -> tuple[FinalsKey, SteadyState, dict[str, Summary]]:
        size, has_memory = len(state.samples), state.memory is not None
        key = (state.started_at_ns, size, state.counted, has_memory)
        cached = self._known.get(state.cell.id)
        if cached is None or cached[0] != key:
            steady_part = judge_cell(state)
            cached = self._known[state.cell.id] = (
                key,
                steady_part,
                summarise_final(state, seed, steady_part),
            )
        return cached
