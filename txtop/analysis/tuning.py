"""Derive the result of `txtop tune`: who keeps the limits, who is named, and what binds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import median

from txtop.analysis import metrics
from txtop.analysis.ab_notes import note_one_start
from txtop.analysis.energy import summarise_joules
from txtop.formatting import format_count, format_figure, format_gibs
from txtop.plan.knobs import KNOBS, Knob
from txtop.plan.tuning import OBJECTIVES, CallLimit, Objective
from txtop.state import accuracy, fidelity
from txtop.state.cell import CellState
from txtop.state.race import RaceState
from txtop.state.session import SessionState
from txtop.stats.candidate import Candidate
from txtop.stats.departure import UNFIT
from txtop.stats.fidelity_bands import FIDELITY_BANDS
from txtop.stats.intervals import Interval
from txtop.stats.log_ratio import LogRatio
from txtop.stats.race_outcome import RaceOutcome, name_outcome
from txtop.stats.sequential import SequentialVerdict
from txtop.stats.summary import Summary, compute_percentile_floor
from txtop.system.gpus import CONTEXT_BYTES
from txtop.units import NS_PER_MS

# How many times as good one is as another, with the interval.
Gain = tuple[float, Interval | None] | tuple[None, None]
_GIB = re.compile(r"([0-9][0-9,]*(?:[.][0-9]+)?) GiB")


@dataclass(frozen=True)
class Binding:
    """The nearest candidate on the other side of a limit; of the space, the winner itself.

    `ratio` is how many times as good as the winner it would be, and `speed` as today's default,
    each with its interval; None if it was not timed.
    """

    limit: str
    own: CellState
    detail: str
    ratio: Gain = (None, None)
    speed: Gain = (None, None)


@dataclass(frozen=True)
class ConfirmedRatio:
    """The winner beside `other`: how many times as good it is, in fresh blocks of both.

    `verdict` is None while it is open. `remarks` tell in few words what the interval rests on.
    """

    other: str
    blocks: int
    ratio: float
    ci95: Interval | None
    verdict: SequentialVerdict | None
    remarks: list[str]
    notes: list[str]


@dataclass(frozen=True)
class TuneResult:
    """The configuration that is named, how it was confirmed, and what binds."""

    winner: CellState
    outcome: RaceOutcome
    bindings: tuple[Binding, ...]


def explain_below_floor(state: SessionState, name: str) -> str:
    """Return why the output of a candidate is below the floor; empty if it is not.

    Random weights have no quality to lose, but for NaN and Inf, which its own calls show as well.
    """
    tuning, result = state.plan.tuning, state.output_of(name)
    if state.cells[name].invalid:
        return "NaN or Inf in its output"
    if tuning is None or result is None:
        return ""
    badge = fidelity.compute_badge(result)
    if tuning.floor_kld is not None:
        if result.kld is None or result.kld <= tuning.floor_kld:
            return ""
        return f"its output differs from the reference by {result.kld:.3g} nats (mean KLD)"
    if tuning.floor is None or badge == "unknown":
        return ""
    if badge not in FIDELITY_BANDS:
        return f"its output cannot be compared: {result.failed or badge}"
    if FIDELITY_BANDS.index(badge) <= FIDELITY_BANDS.index(tuning.floor):
        return ""
    return f"its output is {fidelity.format_badge_forms(result)[0]}"


def explain_below_accuracy(state: SessionState, name: str) -> str:
    """Return why a candidate's answers to the tasks are below the floor; empty if they are not.

    As with the distance of outputs the difference itself decides, and its interval is stated. Who
    has no answers (random weights, a task of another family) has none to lose.
    """
    tuning = state.plan.tuning
    if tuning is None or tuning.min_accuracy is None:
        return ""
    for difference in accuracy.list_differences(state, name):
        if difference.difference is None:
            if difference.reference_score is not None:
                return f"{difference.task.name}: {difference.reason}"
        elif difference.difference < tuning.min_accuracy:
            forms = accuracy.format_difference_forms(difference)
            return f"{difference.task.name}: {forms[0]} against the reference"
    return ""


def _list_times_ms(own: CellState, limit: CallLimit) -> list[float]:
    """Return the times of all calls that were judged by a limit, in order of size."""
    samples = own.samples
    measured = (i for i, role in enumerate(samples.role) if role == "measured")
    return sorted(
        ns / NS_PER_MS
        for i in measured
        if i not in samples.discarded and (ns := own.read_time_ns(limit.time, i)) is not None
    )


def compute_quantile_ms(own: CellState, limit: CallLimit) -> float | None:
    """Return the time that the share of a limit keeps, over all calls that were judged by it."""
    times_ms = _list_times_ms(own, limit)
    return _pick_quantile(times_ms, limit.share) if times_ms else None


def _pick_quantile(ordered: list[float], share: float) -> float:
    # 99.9 % of 1,000 is no whole number in binary.
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def describe_reached(own: CellState, limit: CallLimit, *, beside: bool = False) -> str:
    """Describe what a candidate reaches of what a limit bounds, `beside` its own words.

    Of too few calls for a percentile it is how many kept the limit.
    """
    times_ms, most = _list_times_ms(own, limit), f"{limit.most_ms:,g} ms"
    n = len(times_ms)
    if n < compute_percentile_floor(limit.share):
        within = sum(time_ms <= limit.most_ms for time_ms in times_ms)
        bound = "it" if beside else f"{limit.time.upper()} {most}"
        return f"{within} of {format_count(n, 'call')} within {bound}"
    reached = format_figure(_pick_quantile(times_ms, limit.share))
    bound = "" if beside else f", limit {most}"
    return f"{limit.quantile} {reached} ms over {format_count(n, 'call')}{bound}"


def list_exceeded(state: SessionState, name: str) -> list[tuple[float, CallLimit]]:
    """Return the limits that a candidate is over and how many times, the furthest first."""
    if state.race is None:
        return []
    calls = zip(state.race.tuning.limits, state.race.race.candidates[name].calls, strict=True)
    exceeded = [
        (reached / limit.most_ms, limit)
        for limit, own in calls
        if not own.is_kept(limit.share)
        and (reached := compute_quantile_ms(state.cells[name], limit)) is not None
    ]
    return sorted(exceeded, key=lambda pair: -pair[0])


def find_nearest(state: SessionState) -> CellState | None:
    """Return who is over its limits by the least; None if somebody keeps them, or without any."""
    candidates = state.race.race.candidates.values() if state.race is not None else ()
    fit = [own for own in candidates if own.costs and not (own.left and own.left.why in UNFIT)]
    over = {own.name: list_exceeded(state, own.name) for own in fit}
    # Also one that left for a faster one: it comes back while that one is over a limit.
    if not over or not all(over.values()):
        return None
    return state.cells[min(over, key=lambda name: over[name][0][0])]


def describe_exceeded(own: CellState, limit: CallLimit) -> str:
    """Describe how far a candidate is beyond a limit; of too few calls their median tells."""
    reached, times_ms = describe_reached(own, limit), _list_times_ms(own, limit)
    if len(times_ms) >= compute_percentile_floor(limit.share):
        return reached
    return f"{reached}, median {format_figure(median(times_ms))} ms"


def explain_departure(state: SessionState, name: str) -> str:
    """Return the figures for which a candidate left; of a limit those of all calls that count."""
    left = state.race.race.candidates[name].left if state.race is not None else None
    if state.race is None or left is None or left.why != "over the limit":
        return left.detail if left is not None else ""
    limits = [limit for _, limit in list_exceeded(state, name)] or state.race.tuning.limits
    return "; ".join(describe_reached(state.cells[name], limit) for limit in limits)


def explain_too_large(state: SessionState, name: str) -> str:
    """Return why the measured peak of a candidate is too large; empty if it is not."""
    tuning, own = state.plan.tuning, state.cells[name]
    peak = compute_peak_bytes(own)
    limit = tuning.memory_bytes if tuning is not None else None
    if limit is None or peak is None or peak <= limit:
        return ""
    took, asked = format_gibs(peak, limit)
    return f"took {took} GiB{describe_context(own)}, {asked} GiB asked for"


def compute_peak_bytes(own: CellState) -> int | None:
    """Return the peak that is held against the memory to deploy to; None if it is unknown.

    Candidates share a GPU, so that of each only what its allocator reserved is known: what a
    context takes comes on top, as in the forecast.
    """
    memory, load = own.memory, own.load
    if memory is None or load is None or memory.device_bytes or not memory.reserved_bytes:
        return own.peak_bytes
    return memory.reserved_bytes + CONTEXT_BYTES * load.device.startswith("cuda")


def describe_context(own: CellState) -> str:
    """Return what says that a peak has an assumed context in it; empty if it has none."""
    return " with a CUDA context" if compute_peak_bytes(own) != own.peak_bytes else ""


def compute_figure(state: SessionState, own: CellState) -> float | None:
    """Return the objective of a candidate in its unit: the figure that the table of cells has."""
    tuning = state.plan.tuning
    if tuning is None:
        return None
    if tuning.objective == "cost":
        rate = metrics.compute_mean(own, metrics.choose_headline_metric(own))
        price = state.plan.cost_per_hour
        return price / 3600 / rate * 1e6 if rate and price else None
    if tuning.objective == "energy":
        used = summarise_energy(state, own)
        return used.mean if used is not None else None
    return metrics.compute_mean(own, OBJECTIVES[tuning.objective].metric)


def summarise_energy(state: SessionState, own: CellState) -> Summary | None:
    """Return the gross joules of a token (encoder: a sequence); None where nothing reads them."""
    return next(iter(summarise_joules(state, own).values()), None)


def compute_gain(compared: LogRatio) -> Gain:
    """Return how many times as good the first of a comparison is, with its interval.

    None without a block of both: who was not timed is not as good as the other.
    """
    if not compared.n:
        return None, None
    ratio, interval = math.exp(-compared.mean), compared.interval
    return ratio, (math.exp(-interval[1]), math.exp(-interval[0])) if interval else None


def compare_candidates(race: RaceState, name: str, other: str) -> LogRatio:
    """Return the cost of `name` over that of `other`: of the confirmation where it has both."""
    confirmation = race.race.find_confirmation((name, other))
    if confirmation is not None and (confirmed := confirmation.compare(name, other)).n:
        return confirmed
    return race.race.compare(name, other)


def compare_with_default(race: RaceState, name: str) -> Gain:
    """Return how many times as good as today's default a candidate is, with the interval."""
    default = race.tuning.default
    if not race.race.candidates.keys() >= {name, default}:
        return None, None
    return compute_gain(compare_candidates(race, name, default))


def list_confirmations(race: RaceState, outcome: RaceOutcome) -> list[ConfirmedRatio]:
    """Return what the winner was confirmed against: today's default, then the runner-up."""
    confirmation, winner = race.race.find_confirmation(outcome.arms), outcome.winner
    confirmed: list[ConfirmedRatio] = []
    for other, verdict in (
        (race.tuning.default, outcome.gain),
        (outcome.runner_up, outcome.close),
    ):
        if confirmation is None or other is None or other == winner or other not in outcome.arms:
            continue
        compared = confirmation.compare(winner, other)
        ratio, ci95 = compute_gain(compared)
        if ratio is None:
            continue
        remarks = ["assumes normal noise"] * confirmation.assumes_normal_noise(compared.n)
        remarks += ["on a busy machine"] * race.is_busy(winner, other)
        notes = note_one_start(verdict, ratio)
        confirmed.append(ConfirmedRatio(other, compared.n, ratio, ci95, verdict, remarks, notes))
    return confirmed


def find_unit(objective: Objective, own: CellState | None) -> str:
    """Return the unit of an objective; the work of an encoder is counted in sequences."""
    unit = OBJECTIVES[objective].unit
    return unit.replace("tok", "seq") if own is not None and own.family == "encoder" else unit


def find_result(state: SessionState) -> TuneResult | None:
    """Return what a session names so far; None if nothing can be named."""
    if state.race is None:
        return None
    outcome = name_outcome(state.race.race, over=state.is_done)
    if outcome is None:
        return None
    winner = state.cells[outcome.winner]
    return TuneResult(winner, outcome, tuple(_find_bindings(state, state.race, outcome.winner)))


def rank_candidates(state: SessionState) -> list[CellState]:
    """Return the cells of a race: who is named, the others as it ranked them, those not timed."""
    cells, result = list(state.cells.values()), find_result(state)
    if state.race is None:
        return cells
    race = state.race.race
    named = [result.winner.cell.id] if result is not None else []
    order = dict.fromkeys([*named, *race.rank(race.candidates), *state.cells])
    return [state.cells[name] for name in order]


def _find_bindings(state: SessionState, race: RaceState, winner: str) -> list[Binding]:
    """Return the nearest candidate beyond each limit that would be better, or was not timed."""
    bindings: list[Binding] = []
    for limit in race.tuning.limits:
        beyond = [
            (reached, name)
            for name in race.race.candidates
            if not race.race.keeps_limits(name)
            and (reached := compute_quantile_ms(state.cells[name], limit)) is not None
            and reached > limit.most_ms
        ]
        better = [pair for pair in beyond if _is_better(race, pair[1], winner)]
        if better:
            own = state.cells[min(better)[1]]
            detail = describe_reached(own, limit, beside=True)
            bindings.append(_bind(race, limit.format(), own, detail, winner))
    for why, title in (("below the floor", "quality"), ("does not fit", "memory")):
        out: list[tuple[float, Binding]] = []
        for candidate in race.race.candidates.values():
            if candidate.left is None or candidate.left.why != why:
                continue
            if not candidate.costs or _is_better(race, candidate.name, winner):
                own = state.cells[candidate.name]
                binding = _bind(race, title, own, candidate.left.detail, winner)
                out.append((_measure_distance(state, candidate), binding))
        if out:
            bindings.append(min(out, key=lambda pair: pair[0])[1])
    return bindings + _list_space_bounds(state, race, state.cells[winner])


def _is_better(race: RaceState, name: str, winner: str) -> bool:
    """Return True if a candidate is better than the winner, and its stated speed not worse."""
    ratio, _ = compute_gain(compare_candidates(race, name, winner))
    speeds = [compare_with_default(race, own)[0] or 0.0 for own in (name, winner)]
    return ratio is not None and ratio > 1 and speeds[0] >= speeds[1]


def _bind(race: RaceState, limit: str, own: CellState, detail: str, winner: str) -> Binding:
    ratio = compute_gain(compare_candidates(race, own.cell.id, winner))
    return Binding(limit, own, detail, ratio, compare_with_default(race, own.cell.id))


def _list_space_bounds(state: SessionState, race: RaceState, winner: CellState) -> list[Binding]:
    """Return each number of the winner of which others were raced, and none above it."""
    bindings, machine = [], state.header.machine if state.header is not None else None
    cores = (machine.cores_allowed or machine.cores_logical) if machine is not None else 0
    default = state.cells.get(race.tuning.default, winner).cell
    for knob in KNOBS:
        numbers = (_read_number(knob, own) for own in state.cells.values())
        raced, most = {n for n in numbers if n is not None}, _read_number(knob, winner)
        if most is None or len(raced) < 2 or most < max(raced):
            continue
        more = f"{most}-{4 * most}*2"
        if knob.field == "threads":
            if most >= cores:
                continue
            more = f"{most},{cores}"
        kept = [k for k in KNOBS if k is not knob and k.of(winner.cell) != k.of(default)]
        space = [f"{k.flag[2:]}={k.of(winner.cell)}" for k in kept] + [f"{knob.flag[2:]}={more}"]
        detail = (
            f"nothing above {knob.label(most)} was raced; to race more: --space {' '.join(space)}"
        )
        bindings.append(Binding("the space", winner, detail))
    return bindings


def _read_number(knob: Knob, own: CellState) -> int | None:
    """Return the number that a knob has in a cell; of the usual threads how many they were."""
    value = knob.of(own.cell) if knob.is_number else None
    if value is None and knob.field == "threads" and own.workload is not None:
        return own.workload.threads
    return value


def _measure_distance(state: SessionState, own: Candidate) -> float:
    """Return what a candidate that left has of what is bounded, as a multiple of the bound.

    So a forecast and a peak, a KLD and an accuracy have one unit. Infinite if no figure is beyond
    its bound: NaN in its own calls, or answers that cannot be judged, put it out.
    """
    left, tuning, result = own.left, state.plan.tuning, state.output_of(own.name)
    if left is None or tuning is None:
        return math.inf
    if left.why == "does not fit":
        # The log has a forecast in words alone: `needs 4.6 GiB, 4.0 GiB asked for`.
        sizes = [float(size.replace(",", "")) for size in _GIB.findall(left.detail)]
        return sizes[0] / sizes[1] if len(sizes) > 1 and sizes[1] else math.inf
    losses = [
        difference.difference / tuning.min_accuracy
        for difference in accuracy.list_differences(state, own.name)
        if difference.difference is not None and tuning.min_accuracy
    ]
    if result is not None and tuning.floor_kld is not None and result.kld is not None:
        losses.append(result.kld / tuning.floor_kld)
    elif result is not None and tuning.floor is not None:
        losses.append(fidelity.measure_loss(result, tuning.floor))
    return max((loss for loss in losses if loss >= 1), default=math.inf)
