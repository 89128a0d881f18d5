"""The figures of one cell for the screens: its rows, its chart, and its metric in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from txtop import formatting
from txtop.analysis import contention, metrics
from txtop.analysis.metrics import LiveSummary
from txtop.analysis.ratios import compute_race_speed
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import PERCENTILE_FLOORS
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.round_numbers import widen_range
from txtop.units import NS_PER_MS

# As many as a wide terminal has dots.
MAX_BINS = 512
SPARK_POINTS = 256
FEW_BELOW = 10
_SERVER_METRICS = (("queue", "queue_ms"), ("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"))


# Of fewer iterations nearly each would be the best so far.
RECORD_FROM = 10


@dataclass(frozen=True)
class Chart:
    """The headline metric over the iterations of a cell, in bins of several iterations.

    `planned` counts the bins of the whole axis; those before `measured_from` are warm-up. A chart
    whose scale starts at zero is `filled`. `mean` and its interval `band` are those of the measured
    points, None until there are any. The newest point is marked while its cell is `moving`, and is
    a `record` if it is the best of at least `RECORD_FROM` measured ones.
    """

    points: tuple[float | None, ...] = ()
    measured_from: int = 0
    planned: int = 1
    low: float = 0.0
    high: float = 1.0
    label: str = ""
    filled: bool = False
    mean: float | None = None
    band: tuple[float, float] | None = None
    moving: bool = False
    record: bool = False


@dataclass(frozen=True)
class HeroMetric:
    """One row of figures: value and interval, and a spark of its newest points.

    `tail` is the 95th percentile of a server that is over, or the number of requests it needs.
    """

    label: str
    value: str = ""
    unit: str = ""
    half: str = ""
    tail: str = ""
    spark: tuple[float | None, ...] = ()


def count_planned_iterations(state: CellState, plan: Plan) -> int:
    """Count the iterations of the axis: those of the plan, else room that doubles when full."""
    before = sum(role != "measured" for role in state.samples.role)
    if state.cell.serving is not None:
        return max(len(state.samples), before + state.cell.serving.requests)
    if plan.fixed_iterations is not None:
        return max(len(state.samples), 1 + plan.expected_warmup + plan.fixed_iterations)
    room = 20
    while room < len(state.samples) - before:
        room *= 2
    return max(before, 1 + plan.expected_warmup) + room


def compute_chart_range(measured: Sequence[float], warm: Sequence[float]) -> tuple[float, float]:
    """Return ±10 % around the median of the first measured values, widened until 95 % of all fit,
    with round ends.

    The middle is the first measured value until there are ten, so that labels change only once.
    """
    if not measured:
        measured = warm[-1:]
    if not measured:
        return 0.0, 1.0
    middle = median(measured[:FEW_BELOW]) if len(measured) >= FEW_BELOW else measured[0]
    return widen_range(middle, measured)


def build_chart(state: CellState, plan: Plan) -> Chart:
    """Build the hero's chart: at most as many bins as a wide terminal has dots."""
    name = metrics.choose_headline_metric(state)
    roles = state.samples.role
    values = [metrics.compute_value(state, name, i) for i in range(len(roles))]
    warm = next((i for i, role in enumerate(roles) if role == "measured"), len(roles))
    planned = count_planned_iterations(state, plan)
    if state.over:
        planned = max(1, len(roles))
    measured = [v for v in values[warm:] if v is not None]
    low, high = compute_chart_range(measured, [v for v in values[:warm] if v is not None])
    size = -(-planned // MAX_BINS)
    points = tuple(_mean(values[i : i + size]) for i in range(0, len(values), size))
    count = len(measured) if state.over else plan.fixed_iterations or len(measured)
    moving = not state.over and len(values) > 0
    return Chart(
        points,
        -(-warm // size),
        -(-planned // size),
        low,
        high,
        f"n {count}",
        moving=moving,
        record=moving and _is_record([values[i] for i in state.samples.kept()]),
    )


def _is_record(kept: Sequence[float | None]) -> bool:
    """Return whether the newest of the iterations that count is the best of enough."""
    *before, newest = [v for v in kept if v is not None] or [0.0]
    return len(before) + 1 >= RECORD_FROM and newest > max(before)


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return fmean(numbers) if numbers else None


def _collect_spark(state: CellState, name: str) -> tuple[float | None, ...]:
    """Return the newest iterations, and the tokens of the open one as they arrive."""
    size = len(state.samples)
    opened = (
        () if state.lag else tuple(gap / NS_PER_MS for gap in state.open_gaps_ns[-SPARK_POINTS:])
    )
    if name == "ttft_ms":
        opened = opened[:1] if len(state.open_gaps_ns) <= SPARK_POINTS else ()
    elif name == "tpot_ms":
        opened = opened[1:]
    else:
        opened = ()
    done = tuple(
        metrics.compute_value(state, name, i) for i in range(max(0, size - SPARK_POINTS), size)
    )
    return done + opened


def build_hero_metrics(
    state: CellState, cache: FrameCache, seed: int, family: str | None
) -> tuple[HeroMetric, ...]:
    """Build the rows of a cell: TTFT, TPOT and an encoder's share; an encoder's forward time."""
    if state.cell.serving is not None:
        served = _SERVER_METRICS if family != "encoder" else (_SERVER_METRICS[0], ("E2E", "e2e_ms"))
        return tuple(_build_metric(label, name, state, cache, seed) for label, name in served)
    listed = {
        "encoder": (("forward", "e2e_ms"),),
        "seq2seq": (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"), ("encoder", "encoder_ms")),
    }.get(family or "", (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms")))
    return tuple(_build_metric(label, name, state, cache, seed) for label, name in listed)


def _build_metric(
    label: str, name: str, state: CellState, cache: FrameCache, seed: int
) -> HeroMetric:
    now = cache.summarise_now(state, name, seed)
    value = now.mean
    if value is None and state.samples.role and state.cell.serving is None:
        value = metrics.compute_value(state, name, len(state.samples) - 1)
    waits = not state.over and not state.lag and value is None
    text = formatting.PENDING if waits else formatting.format_ms(value)
    half = (
        "withheld"
        if state.lag and name in ("ttft_ms", "tpot_ms", "encoder_ms")
        else formatting.format_half_width(now.half_width)
        or explain_no_interval(state, cache, seed)[0]
    )
    tail = ""
    if state.over and state.cell.serving is not None and now.n:
        high = cache.finals.of(state, seed)[name].p95
        tail = (
            f"p95 after {PERCENTILE_FLOORS[95]}"
            if high is None
            else f"p95 {formatting.format_ms(high)}"
        )
    return HeroMetric(label, text, "ms", half, tail, _collect_spark(state, name))


def explain_no_interval(state: CellState, cache: FrameCache, seed: int) -> tuple[str, str]:
    """Return why a cell that is over has no interval, in a word and in full; empty for others.

    The word stands in the place of `±1.2 %`.
    """
    if not state.over or not cache.is_ready(state):
        return "", ""
    n = get_table_metric(state, metrics.choose_headline_metric(state), cache, seed).n
    if not n:
        return "", ""
    if contention.is_busy(state):
        return contention.BUSY, contention.NO_INTERVAL_NOTE
    if (drift := cache.finals.steady(state, seed).drift) is not None:
        return "drifts", f"{formatting.format_drift(drift)}: no interval"
    few = formatting.format_few(n) if n < FEW_BELOW else "no interval"
    return "few", metrics.describe_starts(state) or few


def count_measured(state: CellState) -> int:
    """Count the iterations measured so far, without those of discarded blocks.

    A figure of a cell that is over has its own n: some may have been dropped as warm-up.
    """
    return len(state.samples.kept())


def format_failure_tag(state: CellState) -> str:
    """Format status and phase of a failure: `oom@load`, `failed@first_forward`, `rejected`."""
    phase = state.finished.phase if state.finished else ""
    return f"{state.status}@{phase}" if phase else state.status


def get_table_metric(state: CellState, name: str, cache: FrameCache, seed: int) -> LiveSummary:
    """Return the figure that the table has: the final one once it was computed, else the live."""
    final = cache.summarise_final(state, name, seed) if cache.is_ready(state) else None
    return final or cache.summarise_live(state, name)


def compute_speed_up(
    session: SessionState,
    state: CellState,
    mean: float | None,
    reference: CellState | None,
    cache: FrameCache,
) -> float | None:
    """Return how many times as fast a cell is as its reference, in a race as today's default.

    None before the reference has ended, and if one of the two is INVALID.
    """
    seed = session.plan.seed
    if mean is None or reference is None or not reference.over:
        return None
    if state.invalid or reference.invalid:
        return None
    if session.race is not None:
        is_measured = state is not reference and state.status == "ok"
        return compute_race_speed(session.race, state.cell.id)[0] if is_measured else None
    base = get_table_metric(reference, metrics.choose_headline_metric(reference), cache, seed).mean
    return mean / base if base else None
