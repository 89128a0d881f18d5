"""Compute the figures of a cell that served requests: each request's, and the server's as a whole.

Definitions: docs/serving.md, "What each figure is". Every latency begins when a request was meant
to come, so a server that stalls cannot hide its queue. n counts requests.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from txtop.formatting import format_share
from txtop.plan.serving import Slo
from txtop.state.cell import CellState
from txtop.stats.intervals import compute_student_t_interval
from txtop.stats.queueing import (
    BATCH_COUNT,
    compute_batch_means,
    compute_batch_means_interval,
    compute_busy_s,
)
from txtop.stats.summary import Summary, summarise, summarise_single
from txtop.units import NS_PER_MS, NS_PER_S

# Above this share the traffic itself was late, and a note says so.
MAX_LATE_SHARE = 0.01
# Rates within this factor are one load: a measured capacity is never the same twice.
SAME_LOAD = 1.05
SATURATED_NOTE = "saturated: the longer the load, the longer the wait"
SERVER_METRICS = ("output_tokens_per_s", "requests_per_s")


@dataclass(frozen=True)
class RequestTotals:
    """The measured requests of a cell, and the tokens of those that were answered.

    sent = answered + unanswered.
    """

    sent: int
    answered: int
    unanswered: int
    prompt_tokens: int
    output_tokens: int


def count_totals(state: CellState) -> RequestTotals:
    """Count the measured requests of a cell and their tokens."""
    places = state.samples.kept()
    sent = max(state.served.offered.sent if state.served.offered else 0, len(places))
    return RequestTotals(
        sent=sent,
        answered=len(places),
        unanswered=sent - len(places),
        prompt_tokens=sum(state.served.prompt_tokens[i] for i in places),
        output_tokens=sum(state.samples.tokens[i] for i in places),
    )


def compute_queue_ms(state: CellState, i: int) -> float:
    """Return the time from the intended arrival of request i until work on it began."""
    served = state.served
    return (served.started_ns[i] - served.arrival_ns[i]) / NS_PER_MS


def compute_window_ns(state: CellState) -> tuple[int, int] | None:
    """Return the window of the server's rates, from the first arrival to the last answer.

    For closed-loop clients it ends at the last arrival if that is more than half of it, for
    afterwards fewer and fewer requests are served at once. None before there is an answer.
    """
    served, places = state.served, state.samples.kept()
    if not places:
        return None
    arrivals = [served.arrival_ns[i] for i in places]
    ends = [served.end_ns[i] for i in places]
    begun, ended, asked = min(arrivals), max(ends), max(arrivals)
    serving = state.cell.serving
    if serving is not None and not serving.open_loop and 2 * (asked - begun) > ended - begun:
        ended = asked
    return (begun, ended) if ended > begun else None


def compute_rates(state: CellState, name: str, slices: int = BATCH_COUNT) -> list[float]:
    """Return tokens/s (or answers/s) in each of `slices` equal parts of the window.

    Empty without a window, and for tokens if the streamer was a step late.
    """
    window = compute_window_ns(state)
    if window is None or (state.lag and name == "output_tokens_per_s"):
        return []
    begun, ended = window
    span = (ended - begun) / slices
    edges = [round(begun + k * span) for k in range(slices + 1)]
    count = _count_tokens if name == "output_tokens_per_s" else _count_answers
    return [number / span * NS_PER_S for number in count(state, edges)]


def _count_answers(state: CellState, edges: Sequence[int]) -> list[int]:
    """Count the requests that were answered between each edge and the next."""
    counts = [0] * len(edges)
    for i in state.samples.kept():
        counts[_find_part(edges, state.served.end_ns[i])] += 1
    return counts[:-1]


def _count_tokens(state: CellState, edges: Sequence[int]) -> list[int]:
    """Count the tokens that came between each edge and the next.

    A request whose tokens all fall in one part is counted as a whole. Only the few that cross an
    edge are walked token by token, for a cell has very many tokens.
    """
    samples, served = state.samples, state.served
    counts = [0] * len(edges)
    for i in state.samples.kept():
        begin, end = samples.gaps_from[i], samples.gaps_from[i + 1]
        if begin == end:
            continue
        arrival = served.arrival_ns[i]
        first = _find_part(edges, arrival + samples.gaps_ns[begin])
        if first == _find_part(edges, arrival + samples.e2e_ns[i]):
            counts[first] += end - begin
            continue
        for at in accumulate(samples.gaps(i)):
            counts[_find_part(edges, arrival + at)] += 1
    return counts[:-1]


def _find_part(edges: Sequence[int], at: int) -> int:
    """Return the part that contains a moment, its end included.

    A moment beyond the last edge gets one number more than there are parts.
    """
    return min(len(edges) - 1, max(0, bisect_left(edges, at) - 1))


def summarise_rate(state: CellState, name: str) -> Summary:
    """Summarise a rate over the whole window; its interval is that of the mean of ten parts."""
    unit = "tok/s" if name == "output_tokens_per_s" else "req/s"
    parts = compute_rates(state, name)
    n = len(state.samples.kept())
    if not any(parts):
        return Summary(unit=unit, n=0, notes=["no sample"])
    summary = summarise_single(fmean(parts), unit, f"interval from {BATCH_COUNT} parts of the time")
    summary.n, summary.ci95 = n, compute_student_t_interval(parts)
    if summary.ci95 is not None and summary.ci95[0] < 0:
        summary.ci95 = None
    return summary


def summarise_requests(values: Sequence[float], unit: str, seed: int) -> Summary:
    """Summarise a latency; `values` are in order of arrival.

    The interval comes from the means of batches of neighbours, for requests that meet in a queue
    are slow together.
    """
    summary = summarise(values, unit, seed=seed)
    if summary.n:
        summary.ci95 = compute_batch_means_interval(values)
    return summary


def compute_batch_times_ns(state: CellState) -> list[float]:
    """Return the mean E2E in ns of ten batches of neighbouring requests.

    Empty under 20 answers.
    """
    return compute_batch_means([float(state.samples.e2e_ns[i]) for i in sort_by_arrival(state)])


def have_same_traffic(states: Iterable[CellState]) -> bool:
    """Return whether all cells were offered the same rate, so that their E2E may be compared.

    The same share of two servers' capacities is two loads. Closed-loop clients have no rate.
    """
    rates = [r for s in states if s.served.offered and (r := s.served.offered.rate) is not None]
    return not rates or max(rates) <= SAME_LOAD * min(rates)


def sort_by_arrival(state: CellState) -> list[int]:
    """Return the places of the measured requests in the order of their arrival."""
    return sorted(state.samples.kept(), key=lambda i: state.served.index[i])


def summarise_server(state: CellState) -> dict[str, Summary]:
    """Return the figures of the server as a whole, which no single request has.

    Empty before there is an answer.
    """
    serving = state.cell.serving
    if serving is None or compute_window_ns(state) is None:
        return {}
    figures = {"requests_per_s": summarise_rate(state, "requests_per_s")}
    if state.family != "encoder":
        figures = {"output_tokens_per_s": summarise_rate(state, "output_tokens_per_s"), **figures}
    figures["in_service"] = summarise_single(
        compute_in_flight(state), "requests", "mean while any was served"
    )
    figures["occupancy"] = summarise_single(
        compute_occupancy(state), "share", f"of {state.cell.slots}"
    )
    wasted = compute_padding_waste(state)
    if wasted is not None:
        figures["padding_waste"] = summarise_single(
            wasted, "share", "of the token positions computed"
        )
    places = state.samples.kept()
    if state.cell.prefix_cache == "on" and places:
        asked = sum(state.served.prompt_tokens[i] for i in places)
        cached = sum(state.served.cached[i] for i in places)
        figures["prefix_cached"] = summarise_single(
            cached / max(1, asked), "share", "of the prompt tokens, from the prefix cache"
        )
    if state.served.kv_most is not None:
        figures["kv_cache_use"] = summarise_single(
            state.served.kv_most, "share", "the most that was seen"
        )
    late = compute_lateness(state)
    if late is not None:
        note = "the load was late" if late > MAX_LATE_SHARE else ""
        figures["load_lateness"] = summarise_single(late, "share", note)
    good = compute_goodput(state)
    if serving.slo is not None and good is not None:
        bounds = serving.slo.words()
        figures["goodput_requests_per_s"] = summarise_single(good[0], "req/s", bounds)
        figures["goodput_share"] = summarise_single(good[1], "share", bounds)
    return figures


def compute_goodput(state: CellState) -> tuple[float, float] | None:
    """Return the requests/s that met the SLO, and their share of all that were sent.

    None without an SLO, and of a bound on a time that no request has.
    """
    slo = state.cell.serving.slo if state.cell.serving else None
    window = compute_window_ns(state) if slo is not None else None
    samples, places = state.samples, state.samples.kept()
    # What was timed before the streamer lagged is not of all.
    has_ttft = not state.lag and any(samples.ttft_ns[i] >= 0 for i in places)
    has_tpot = has_ttft and any(samples.tokens[i] > 1 for i in places)
    if slo is None or window is None:
        return None
    if (slo.ttft_ms and not has_ttft) or (slo.tpot_ms and not has_tpot):
        return None
    good = sum(meets_slo(state, i, slo) for i in places)
    return good / (window[1] - window[0]) * NS_PER_S, good / count_totals(state).sent


def compute_in_flight(state: CellState) -> float:
    """Return the mean number of requests in service, over the time when there was any."""
    served = state.served
    places = state.samples.kept()
    starts = [served.started_ns[i] for i in places]
    ends = [served.end_ns[i] for i in places]
    busy_ns = compute_busy_s(starts, ends)
    return (sum(ends) - sum(starts)) / busy_ns if busy_ns else 0.0


def compute_occupancy(state: CellState) -> float:
    """Return the share of its slots that a server used while it served."""
    return compute_in_flight(state) / state.cell.slots


def compute_padding_waste(state: CellState) -> float | None:
    """Return the share of computed token positions that no request needed; None if unknown."""
    served, places = state.served, state.samples.kept()
    computed = sum(served.computed[i] for i in places)
    if not computed:
        return None
    own = sum(served.prompt_tokens[i] + state.samples.tokens[i] for i in places)
    return 1 - min(1.0, own / computed)


def compute_lateness(state: CellState) -> float | None:
    """Return the mean delay of sending as a share of the mean time between two arrivals.

    None for closed-loop clients and under two answers.
    """
    serving, served = state.cell.serving, state.served
    places = state.samples.kept()
    if serving is None or not serving.open_loop or len(places) < 2:
        return None
    arrivals = [served.arrival_ns[i] for i in places]
    gap = (max(arrivals) - min(arrivals)) / (len(places) - 1)
    if gap <= 0:
        return None
    return fmean(served.sent_ns[i] - served.arrival_ns[i] for i in places) / gap


def describe_lateness(state: CellState) -> str:
    """Return by how much the load generator lagged; empty if it kept up."""
    late = compute_lateness(state)
    if late is None or late <= MAX_LATE_SHARE:
        return ""
    return f"generator lagged by {format_share(late, 1)} of the time between two requests"


def meets_slo(state: CellState, i: int, slo: Slo) -> bool:
    """Return whether request i met every bound of the SLO."""
    samples = state.samples
    e2e_ns, ttft_ns, tokens = samples.e2e_ns[i], samples.ttft_ns[i], samples.tokens[i]
    tpot_ns = (e2e_ns - ttft_ns) / (tokens - 1) if tokens > 1 else 0.0
    times_ns = {"ttft_ms": ttft_ns, "tpot_ms": tpot_ns, "e2e_ms": e2e_ns}
    return all(
        times_ns[name] <= bound * NS_PER_MS
        for name in times_ns
        if (bound := getattr(slo, name)) is not None
    )
