"""The figures of a cell that served requests: each request's, and the server's as a whole.

Every latency begins when a request was meant to come, so a server that stalls cannot hide its
queue. n counts requests.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

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

MAX_LATE_SHARE = 0.01
# Two rates that are one load: what a server was found to answer is never the same twice.
SAME_LOAD = 1.05
SATURATED_NOTE = "saturated: the longer the load, the longer the wait"
SERVER_METRICS = ("output_tokens_per_s", "requests_per_s")


@dataclass(frozen=True)
class RequestTotals:
    """What adds up: requests that were let go, answered and left without an answer; tokens."""

    sent: int
    answered: int
    unanswered: int
    prompt_tokens: int
    output_tokens: int


def count_totals(state: CellState) -> RequestTotals:
    """Of the measured requests."""
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
    """From the intended arrival until the request was taken to work."""
    served = state.served
    return (served.started_ns[i] - served.arrival_ns[i]) / NS_PER_MS


def compute_window_ns(state: CellState) -> tuple[int, int] | None:
    """From the first arrival to the last answer. Of clients that ask again, to the last question:
    after it fewer and fewer are served at once. Null before there is an answer."""
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
    """Tokens (or answers) a second in each of so many equal parts of the window."""
    window = compute_window_ns(state)
    if window is None or (state.lag and name == "output_tokens_per_s"):
        return []
    begun, ended = window
    span = (ended - begun) / slices
    edges = [round(begun + k * span) for k in range(slices + 1)]
    count = _count_tokens if name == "output_tokens_per_s" else _count_answers
    return [found / span * NS_PER_S for found in count(state, edges)]


def _count_answers(state: CellState, edges: Sequence[int]) -> list[int]:
    """How many requests were answered in each part of the time between two of the edges."""
    found = [0] * len(edges)
    for i in state.samples.kept():
        found[_find_part(edges, state.served.end_ns[i])] += 1
    return found[:-1]


def _count_tokens(state: CellState, edges: Sequence[int]) -> list[int]:
    """How many tokens came in each part. Only of a request that a part does not hold as a whole
    are its tokens looked at, of which there are few: a cell has very many tokens."""
    samples, served = state.samples, state.served
    found = [0] * len(edges)
    for i in state.samples.kept():
        begin, end = samples.gaps_from[i], samples.gaps_from[i + 1]
        if begin == end:
            continue
        arrival = served.arrival_ns[i]
        first = _find_part(edges, arrival + samples.gaps_ns[begin])
        if first == _find_part(edges, arrival + samples.e2e_ns[i]):
            found[first] += end - begin
            continue
        for at in accumulate(samples.gaps(i)):
            found[_find_part(edges, arrival + at)] += 1
    return found[:-1]


def _find_part(edges: Sequence[int], at: int) -> int:
    """The part that a moment is in, its end included; beyond them all one more."""
    return min(len(edges) - 1, max(0, bisect_left(edges, at) - 1))


def summarise_rate(state: CellState, name: str) -> Summary:
    """The rate over the whole window; its interval is that of the mean of ten parts of it."""
    unit = "tok/s" if name == "output_tokens_per_s" else "req/s"
    parts = compute_rates(state, name)
    n = len(state.samples.kept())
    if not any(parts):
        return Summary(unit=unit, n=0, notes=["no sample"])
    found = summarise_single(fmean(parts), unit, f"interval from {BATCH_COUNT} parts of the time")
    found.n, found.ci95 = n, compute_student_t_interval(parts)
    if found.ci95 is not None and found.ci95[0] < 0:
        found.ci95 = None
    return found


def summarise_requests(values: Sequence[float], unit: str, seed: int) -> Summary:
    """A latency of every request, in the order of their arrival."""
    found = summarise(values, unit, seed=seed)
    if found.n:
        found.ci95 = compute_batch_means_interval(values)
    return found


def compute_batch_times_ns(state: CellState) -> list[float]:
    """The mean E2E in ns of ten batches of requests that came one after the other; none under 20
    answers."""
    return compute_batch_means([float(state.samples.e2e_ns[i]) for i in sort_by_arrival(state)])


def have_same_traffic(states: Iterable[CellState]) -> bool:
    """Whether requests came to all of them as often: shares of what two servers can do are two
    loads, at which E2E does not tell which is the faster."""
    rates = [r for s in states if s.served.offered and (r := s.served.offered.rate) is not None]
    return not rates or max(rates) <= SAME_LOAD * min(rates)


def sort_by_arrival(state: CellState) -> list[int]:
    """Places of the measured requests in the order of their arrival."""
    return sorted(state.samples.kept(), key=lambda i: state.served.index[i])


def summarise_server(state: CellState) -> dict[str, Summary]:
    """The figures that no single request has."""
    serving = state.cell.serving
    if serving is None or compute_window_ns(state) is None:
        return {}
    found = {"requests_per_s": summarise_rate(state, "requests_per_s")}
    if state.family != "encoder":
        found = {"output_tokens_per_s": summarise_rate(state, "output_tokens_per_s"), **found}
    found["in_service"] = summarise_single(
        compute_in_flight(state), "requests", "mean while any was served"
    )
    found["occupancy"] = summarise_single(
        compute_occupancy(state), "share", f"of {state.cell.slots}"
    )
    wasted = compute_padding_waste(state)
    if wasted is not None:
        found["padding_waste"] = summarise_single(
            wasted, "share", "of the token positions computed"
        )
    if state.served.kv_most is not None:
        found["kv_cache_use"] = summarise_single(
            state.served.kv_most, "share", "the most that was seen"
        )
    late = compute_lateness(state)
    if late is not None:
        note = "the load was late" if late > MAX_LATE_SHARE else ""
        found["load_lateness"] = summarise_single(late, "share", note)
    good = compute_goodput(state)
    if serving.slo is not None and good is not None:
        words = serving.slo.words()
        found["goodput_requests_per_s"] = summarise_single(good[0], "req/s", words)
        found["goodput_share"] = summarise_single(good[1], "share", words)
    return found


def compute_goodput(state: CellState) -> tuple[float, float] | None:
    """Requests a second that kept what was promised, and their share of all that came; null where
    nothing was promised."""
    slo = state.cell.serving.slo if state.cell.serving else None
    window = compute_window_ns(state) if slo is not None else None
    if slo is None or window is None:
        return None
    good = sum(meets_slo(state, i, slo) for i in state.samples.kept())
    return good / (window[1] - window[0]) * NS_PER_S, good / count_totals(state).sent


def compute_in_flight(state: CellState) -> float:
    """Requests that were being served, mean over the time in which any was."""
    served = state.served
    places = state.samples.kept()
    starts = [served.started_ns[i] for i in places]
    ends = [served.end_ns[i] for i in places]
    busy_ns = compute_busy_s(starts, ends)
    return (sum(ends) - sum(starts)) / busy_ns if busy_ns else 0.0


def compute_occupancy(state: CellState) -> float:
    """The share of its places that a server used while it served."""
    return compute_in_flight(state) / state.cell.slots


def compute_padding_waste(state: CellState) -> float | None:
    """The share of computed token positions that nobody had asked for; null where unknown."""
    served, places = state.served, state.samples.kept()
    computed = sum(served.computed[i] for i in places)
    if not computed:
        return None
    own = sum(served.prompt_tokens[i] + state.samples.tokens[i] for i in places)
    return 1 - min(1.0, own / computed)


def compute_lateness(state: CellState) -> float | None:
    """How late requests were let go, on average, as a share of the time between two of them; null
    where clients decide when they ask."""
    serving, served = state.cell.serving, state.served
    places = state.samples.kept()
    if serving is None or not serving.open_loop or len(places) < 2:
        return None
    arrivals = [served.arrival_ns[i] for i in places]
    gap = (max(arrivals) - min(arrivals)) / (len(places) - 1)
    if gap <= 0:
        return None
    return fmean(served.sent_ns[i] - served.arrival_ns[i] for i in places) / gap


def meets_slo(state: CellState, i: int, slo: Slo) -> bool:
    """Whether request i kept every bound that was promised."""
    samples = state.samples
    e2e_ns, ttft_ns, tokens = samples.e2e_ns[i], samples.ttft_ns[i], samples.tokens[i]
    tpot_ns = (e2e_ns - ttft_ns) / (tokens - 1) if tokens > 1 else 0.0
    taken = {"ttft_ms": ttft_ns, "tpot_ms": tpot_ns, "e2e_ms": e2e_ns}
    return all(
        taken[name] <= bound * NS_PER_MS
        for name in taken
        if (bound := getattr(slo, name)) is not None
    )
