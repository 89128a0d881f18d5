"""The figures of a cell, derived from its samples: live ones cheaply, final ones once it ended.

Formulas: METHOD. Names are those of the export (`ttft_ms`, `tpot_ms`, `compute_itl_ms`, ...).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from txtop.analysis import serving
from txtop.state.cell import CellState
from txtop.stats import intervals, steady_state, warmup
from txtop.stats.cost import compute_cost_per_million
from txtop.stats.queueing import compute_batch_means_interval
from txtop.stats.steady_state import SteadyState
from txtop.stats.summary import (
    Summary,
    classify_variation,
    compute_relative_half_width,
    invert_interval,
    summarise,
    summarise_single,
)
from txtop.units import NS_PER_MS, NS_PER_S

STABLE_CV = 0.02
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
# What a cell's final figures are made of: when it started, iterations, whether peaks are known.
FinalsKey = tuple[int, int, bool]


def _ttft_ms(state: CellState, i: int) -> float | None:
    ttft = state.samples.ttft_ns[i]
    return None if ttft < 0 or state.lag else ttft / NS_PER_MS


def _tpot_ms(state: CellState, i: int) -> float | None:
    """(E2E - TTFT) / (OSL - 1); null for one token."""
    s = state.samples
    if s.ttft_ns[i] < 0 or s.tokens[i] < 2 or state.lag:
        return None
    return (s.e2e_ns[i] - s.ttft_ns[i]) / (s.tokens[i] - 1) / NS_PER_MS


def _e2e_ms(state: CellState, i: int) -> float | None:
    return state.samples.e2e_ns[i] / NS_PER_MS


def _encoder_ms(state: CellState, i: int) -> float | None:
    encoder = state.samples.encoder_ns[i]
    return None if encoder < 0 else encoder / NS_PER_MS


def _prefill_tokens_per_s(state: CellState, i: int) -> float | None:
    """batch x ISL / TTFT."""
    ttft = state.samples.ttft_ns[i]
    work = state.cell.batch_size * state.cell.sequence_length
    return None if ttft <= 0 or state.lag else work / ttft * NS_PER_S


def _decode_tokens_per_s(state: CellState, i: int) -> float | None:
    """batch x (OSL - 1) / (E2E - TTFT)."""
    s = state.samples
    decode_ns = s.e2e_ns[i] - s.ttft_ns[i]
    if s.ttft_ns[i] < 0 or s.tokens[i] < 2 or decode_ns <= 0 or state.lag:
        return None
    return state.cell.batch_size * (s.tokens[i] - 1) / decode_ns * NS_PER_S


def _tokens_per_s(state: CellState, i: int) -> float | None:
    """batch x OSL / E2E, prefill included."""
    s = state.samples
    if not s.tokens[i]:
        return None
    return state.cell.batch_size * s.tokens[i] / s.e2e_ns[i] * NS_PER_S


def _sequences_per_s(state: CellState, i: int) -> float | None:
    """batch / E2E; for an encoder E2E is its forward time."""
    return state.cell.batch_size / state.samples.e2e_ns[i] * NS_PER_S


def _queue_ms(state: CellState, i: int) -> float | None:
    return serving.compute_queue_ms(state, i)


def _no_request_value(_state: CellState, _i: int) -> float | None:
    """No single request has it."""
    return None


ITERATION_METRICS: dict[str, tuple[str, MetricFunction]] = {
    "queue_ms": ("ms", _queue_ms),
    "ttft_ms": ("ms", _ttft_ms),
    "tpot_ms": ("ms", _tpot_ms),
    "e2e_ms": ("ms", _e2e_ms),
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
    """The metrics that a cell has of each of its iterations or requests."""
    if state.cell.serving is None:
        return FAMILY_METRICS.get(state.family or "", ())
    return ("queue_ms", "e2e_ms") if state.family == "encoder" else _REQUEST_METRICS


def choose_headline_metric(state: CellState) -> str:
    """The metric a cell is run for: tokens/s where tokens are made, sequences/s else; of a server
    what it answers as a whole."""
    if state.cell.serving is not None:
        return "requests_per_s" if state.family == "encoder" else "output_tokens_per_s"
    return "sequences_per_s" if state.family == "encoder" else "tokens_per_s"


def compute_values(state: CellState, name: str, places: list[int] | None = None) -> list[float]:
    """`name` of each measured iteration (or of the iterations at `places`), without nulls; a rate
    of a server in each of ten parts of the time."""
    if name in serving.SERVER_METRICS:
        return serving.compute_rates(state, name) if len(state.samples.kept()) > 1 else []
    _, series = ITERATION_METRICS[name]
    kept = state.samples.kept() if places is None else places
    return [v for i in kept if (v := series(state, i)) is not None]


def compute_value(state: CellState, name: str, i: int) -> float | None:
    """`name` of iteration i alone."""
    return ITERATION_METRICS[name][1](state, i)


def compute_itl_ms(
    state: CellState, places: list[int] | None = None
) -> tuple[list[float], list[float]]:
    """All gaps between tokens of measured iterations (or of those at `places`), and the mean of
    each iteration's."""
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
        """Half the interval as a share of the mean."""
        return compute_relative_half_width(self.mean, self.ci95)


def summarise_live(state: CellState, name: str) -> LiveSummary:
    """What can be said now of `name`; cheap enough for every frame."""
    if name in serving.SERVER_METRICS:
        found = serving.summarise_rate(state, name)
        return LiveSummary(found.n, found.mean, found.ci95)
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


def is_stable(now: LiveSummary) -> bool:
    """Enough iterations, under 2 % of variation, and an interval, which a trend withholds."""
    return now.n >= 10 and now.ci95 is not None and now.cv is not None and now.cv < STABLE_CV


def is_warm(state: CellState) -> bool:
    """Whether the warm-up iterations of a cell had become flat when they ended."""
    roles = state.samples.role
    return warmup.is_flat([state.samples.e2e_ns[i] for i, r in enumerate(roles) if r == "warmup"])


def judge_cell(state: CellState) -> SteadyState:
    """Where the steady part of the measured iterations begins, from their durations.

    A warm-up cut that somebody asked for is the beginning itself; every request of a server counts.
    """
    if state.cell.serving is not None:
        return SteadyState(len(state.samples.kept()))
    durations = [state.samples.e2e_ns[i] for i in state.samples.kept()]
    return steady_state.judge_series(durations, None if state.samples.cut is None else 0)


def select_final_iterations(state: CellState) -> list[int]:
    """Places of the iterations that the final figures are made of."""
    return state.samples.kept()[judge_cell(state).start :]


def get_final_times_ns(state: CellState) -> list[float]:
    """End-to-end times in ns of those iterations."""
    return [float(state.samples.e2e_ns[i]) for i in select_final_iterations(state)]


def get_comparison_times_ns(state: CellState) -> list[float]:
    """What two cells are held against each other by: those times; of a server the mean E2E of ten
    batches of neighbours, for requests that meet in a queue are slow together."""
    return (
        get_final_times_ns(state)
        if state.cell.serving is None
        else serving.compute_batch_times_ns(state)
    )


def summarise_final(
    state: CellState, seed: int = 0, found: SteadyState | None = None
) -> dict[str, Summary]:
    """Every metric of a cell that has ended; heavy (bootstrap), so callers keep the result.

    Figures come from the steady part `found`, by default that of `judge_cell`; those of a server
    from every request, since load is never steady.
    """
    if state.cell.serving is not None:
        return {
            **(_summarise_load(state) if state.load else {}),
            **_summarise_served(state, seed),
            **_summarise_memory(state),
        }
    found = found or judge_cell(state)
    places = state.samples.kept()[found.start :]
    figures = _summarise_load(state) if state.load else {}
    steadily: dict[str, Summary] = {}
    for name in FAMILY_METRICS.get(state.family or "", ()):
        unit, _ = ITERATION_METRICS[name]
        rate = unit.endswith("/s")
        steadily[name] = summarise(compute_values(state, name, places), unit, rate=rate, seed=seed)
    if state.family in ("causal", "seq2seq"):
        gaps, means = compute_itl_ms(state, places)
        steadily["itl_ms"] = summarise(gaps, "ms", per_iteration=means, seed=seed)
    for summary in steadily.values():
        _explain_missing(state, summary)
        if found.steady is False and summary.ci95 is not None:
            summary.ci95 = None
            summary.notes.append("no steady state")
    first = steadily.get(choose_headline_metric(state))
    if first is not None and first.mean and first.stdev is not None:
        cv = first.stdev / first.mean
        if classify_variation(cv) in ("fair", "unstable"):
            first.notes.append(f"CV {cv:.0%}: {classify_variation(cv)}")
    return {**figures, **steadily, **_summarise_memory(state)}


def _summarise_served(state: CellState, seed: int) -> dict[str, Summary]:
    places = serving.sort_by_arrival(state)
    found = {
        name: serving.summarise_requests(
            compute_values(state, name, places), ITERATION_METRICS[name][0], seed
        )
        for name in list_metrics(state)
    }
    if state.family != "encoder":
        gaps, means = compute_itl_ms(state, places)
        found["itl_ms"] = summarise(gaps, "ms", per_iteration=means, seed=seed)
    for summary in found.values():
        _explain_missing(state, summary)
    found |= serving.summarise_server(state)
    cut = serving.count_totals(state).unanswered
    for name, summary in found.items():
        if state.saturated and name.endswith("_ms"):
            summary.notes.append(serving.SATURATED_NOTE)
        if cut and name in list_metrics(state):
            summary.notes.append(f"{cut} request{'s' if cut > 1 else ''} not answered in time")
    return found


def compute_cost(
    state: CellState, found: dict[str, Summary], per_hour: float | None
) -> dict[str, Summary]:
    """What a million tokens (or sequences) cost; nothing without a price an hour."""
    rate = found.get(choose_headline_metric(state))
    if per_hour is None or rate is None:
        return {}
    what, unit = ("sequences", "$/Mseq") if state.family == "encoder" else ("tokens", "$/Mtok")
    return {f"cost_per_million_{what}": compute_cost_per_million(rate, per_hour, unit)}


def _explain_missing(state: CellState, summary: Summary) -> None:
    """Says why a metric of a cell that did measure is null."""
    if not summary.n and state.samples.kept():
        late = "withheld: the streamer was a step late"
        summary.notes = [late if state.lag else "null: one new token"]


def _summarise_load(state: CellState) -> dict[str, Summary]:
    load = state.load
    assert load is not None
    found = {"load_s": summarise_single(load.load_s, "s", "shared")}
    for phase in LOAD_PHASES:
        if phase in load.phases:
            found[f"load_{phase}_s"] = summarise_single(load.phases[phase], "s", "shared")
    return found


def _summarise_memory(state: CellState) -> dict[str, Summary]:
    peak = state.memory
    if peak is None:
        return {}
    figures = {
        "peak_memory_host_bytes": peak.host_bytes,
        "peak_memory_allocated_bytes": peak.allocated_bytes,
        "peak_memory_reserved_bytes": peak.reserved_bytes,
        "peak_memory_device_bytes": peak.device_bytes,
    }
    return {
        name: summarise_single(float(v), "bytes", "")
        for name, v in figures.items()
        if v is not None
    }


class FinalMetrics:
    """Keeps the final metrics of each cell, computed once when they are first asked for."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[FinalsKey, SteadyState, dict[str, Summary]]] = {}

    def of(self, state: CellState, seed: int = 0) -> dict[str, Summary]:
        """Final metrics of a cell; computed anew only if more iterations came."""
        return self._final(state, seed)[2]

    def steady(self, state: CellState, seed: int = 0) -> SteadyState:
        """Which measured iterations those metrics are from, and whether they were steady."""
        return self._final(state, seed)[1]

    def _final(
        self, state: CellState, seed: int
    ) -> tuple[FinalsKey, SteadyState, dict[str, Summary]]:
        key = (state.started_at_ns, len(state.samples), state.memory is not None)
        known = self._known.get(state.cell.id)
        if known is None or known[0] != key:
            found = judge_cell(state)
            known = self._known[state.cell.id] = (key, found, summarise_final(state, seed, found))
        return known
