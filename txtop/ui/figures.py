"""What a screen says of one cell: its figures, its doubt in a word, its chart and its row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean, median
from typing import TypeVar, cast

from txtop import fidelity, metrics, references
from txtop.cell_state import CellState
from txtop.metrics import FinalMetrics, Live
from txtop.plan import Cell, Plan
from txtop.state import SessionState
from txtop.stats.summary import FLOORS, stated
from txtop.ui import numbers

T = TypeVar("T")
MOST_BINS = 512
SPARK_POINTS = 256
SETTLED = 10
SORTED_AGAIN = 1.02
WIDENINGS = (0.10, 0.25, 0.50, 1.00)
_SERVED = (("queue", "queue_ms"), ("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"))
FAILED = ("oom", "failed", "timeout", "rejected")


class Memo:
    """What is computed once and kept between the frames of one session; `late` while there are
    final figures still to come, though nothing happens."""

    def __init__(self) -> None:
        self.late = False
        self.finals = FinalMetrics()
        self._itl: dict[str, tuple[object, int, tuple[tuple[str, float | None], ...]]] = {}
        self._gaps: dict[str, tuple[object, int, list[float], int]] = {}
        self._told: set[tuple[str, int]] = set()
        self._kept: dict[Hashable, tuple[object, object]] = {}

    def kept(self, name: Hashable, made_of: object, make: Callable[[], T]) -> T:
        """What was made under that name, anew only when what it is made of is not equal."""
        known = self._kept.get(name)
        if known is None or not (known[0] is made_of or known[0] == made_of):
            known = self._kept[name] = made_of, make()
        return cast(T, known[1])

    def references(self, session: SessionState) -> dict[str, CellState]:
        """For each cell that has company, the most precise one of the same work; none in an A/B,
        whose arms take turns."""
        if session.versus is not None:
            return {}
        plan = session.plan
        best = self.kept("references", plan, lambda: references.of_speed(plan.cells))
        return {name: session.cells[cell.id] for name, cell in best.items()}

    def live(self, state: CellState, name: str) -> Live:
        """`metrics.live`, anew only when an iteration came; of a server with very many requests
        when there are 2 % more, since all of them are looked at."""
        n = len(state.samples)
        if state.cell.serving is not None and not state.over:
            n -= n % max(1, n // 50)
        made_of = state.samples, n
        return self.kept(("live", state.cell.id, name), made_of, lambda: metrics.live(state, name))

    def now(self, state: CellState, name: str, seed: int) -> Live:
        """The final figure of a cell that has ended; before that what can be said."""
        return self.ended(state, name, seed) or self.live(state, name)

    def itl(self, state: CellState) -> tuple[tuple[str, float | None], ...]:
        """p50, p90 and p99 of the gaps between tokens, where there are iterations enough; of a cell
        at work anew when there are 2 % more, since all of them are sorted."""
        size = len(state.samples)
        samples, counted, found = self._itl.get(state.cell.id, (None, 0, ()))
        due = size > counted and (state.over or size >= SORTED_AGAIN * counted)
        if samples is not state.samples or due:
            gaps, count = self._sorted_gaps(state)
            found = tuple((f"p{p}", stated(gaps, count, p)) for p in (50, 90, 99))
            self._itl[state.cell.id] = state.samples, size, found
        return found

    def _sorted_gaps(self, state: CellState) -> tuple[list[float], int]:
        """Those of a server are kept sorted, and new ones join them: it makes very many, and
        discards none."""
        samples = state.samples
        known = self._gaps.get(state.cell.id)
        if known is None or known[0] is not samples or state.cell.serving is None:
            known = samples, 0, [], 0
        _, seen, gaps, count = known
        more, means = metrics.itl_ms(state, [i for i in samples.kept() if i >= seen])
        gaps += more
        gaps.sort()
        count += len(means)
        if state.cell.serving is not None:
            self._gaps[state.cell.id] = samples, len(samples), gaps, count
        return gaps, count

    def ended(self, state: CellState, name: str, seed: int) -> Live | None:
        """The final figure of a cell that has ended (BCa from 30 iterations on); heavy once."""
        if not state.over:
            return None
        self._told.add((state.cell.id, len(state.samples)))
        found = self.finals.of(state, seed).get(name)
        if found is None or found.mean is None:
            return None
        spread = found.stdev / found.mean if found.stdev is not None and found.mean else None
        return Live(found.n, found.mean, found.ci95, spread)

    def is_ready(self, state: CellState) -> bool:
        """Whether `ended` would cost nothing now."""
        return (state.cell.id, len(state.samples)) in self._told

    def row(self, session: SessionState, state: CellState, reference: CellState | None) -> CellRow:
        """`row`, where something may have changed: a thousand cells that are over or wait cost a
        frame next to nothing."""
        name = state.cell.id
        if name in session.working or session.comparing is not None:
            return row(session, state, reference, self)
        made_of = (
            state,
            state.stage,
            state.memory,
            session.output_of(name) if session.fidelity else None,
            self.is_ready(state),
            reference,
            reference is not None and reference.over and self.is_ready(reference),
        )
        return self.kept(f"row {name}", made_of, lambda: row(session, state, reference, self))


@dataclass(frozen=True)
class Chart:
    """The headline over the iterations of a cell, in bins of `size` iterations.

    `planned` counts the bins of the whole axis; those before `measured_from` are warm-up. A scale
    that starts at zero is `filled`.
    """

    points: tuple[float | None, ...] = ()
    measured_from: int = 0
    planned: int = 1
    low: float = 0.0
    high: float = 1.0
    label: str = ""
    filled: bool = False


@dataclass(frozen=True)
class Metric:
    """One row of figures: value and interval, what is known of its tail once it is over, and a
    spark of its newest points."""

    label: str
    value: str = ""
    unit: str = ""
    half: str = ""
    tail: str = ""
    spark: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class CellRow:
    """One cell as the table shows it. `state` is done, failed, running, waiting or skipped."""

    id: str
    state: str
    model: str
    precision: str
    batch: int
    attention: str
    length: int
    tokens: int
    threads: int | None
    ttft: str = ""
    tpot: str = ""
    forward: str = ""
    rate: str = ""
    rate_value: float = 0.0
    half: str = ""
    gib: str = ""
    note: str = ""
    ratio: str = ""
    badges: tuple[str, ...] = ()
    offered: str = ""


@lru_cache(maxsize=4096)
def predicted_bytes(cell: Cell) -> int | None:
    """The memory that a cell is expected to need; null where its model is not known here."""
    from txtop import models

    try:
        return models.predicted_bytes(cell)
    except (OSError, ValueError):
        return None


def planned_iterations(state: CellState, plan: Plan) -> int:
    """How many iterations the axis holds: those of the plan, else room that doubles when full."""
    before = sum(role != "measured" for role in state.samples.role)
    if state.cell.serving is not None:
        return max(len(state.samples), before + state.cell.serving.requests)
    if plan.fixed_iterations is not None:
        return max(len(state.samples), 1 + plan.expected_warmup + plan.fixed_iterations)
    room = 20
    while room < len(state.samples) - before:
        room *= 2
    return max(before, 1 + plan.expected_warmup) + room


def chart_range(measured: Sequence[float], warm: Sequence[float]) -> tuple[float, float]:
    """Median of the first measured values ±10 %, widened until 95 % of the measured ones fit.

    The middle is that of the first iteration until there are ten, so labels change once.
    """
    if not measured:
        measured = warm[-1:]
    if not measured:
        return 0.0, 1.0
    middle = median(measured[:SETTLED]) if len(measured) >= SETTLED else measured[0]
    for widening in WIDENINGS:
        low, high = middle * (1 - widening), middle * (1 + widening)
        if sum(low <= v <= high for v in measured) >= 0.95 * len(measured):
            return low, high
    return 0.0, max(measured)


def chart(state: CellState, plan: Plan) -> Chart:
    """The hero's chart: as many bins as a wide terminal has dots, whatever the cell's length."""
    name = metrics.headline(state)
    roles = state.samples.role
    values = [metrics.value(state, name, i) for i in range(len(roles))]
    warm = next((i for i, role in enumerate(roles) if role == "measured"), len(roles))
    planned = planned_iterations(state, plan)
    if state.over:
        planned = max(1, len(roles))
    measured = [v for v in values[warm:] if v is not None]
    low, high = chart_range(measured, [v for v in values[:warm] if v is not None])
    size = -(-planned // MOST_BINS)
    points = tuple(_mean(values[i : i + size]) for i in range(0, len(values), size))
    count = len(measured) if state.over else plan.fixed_iterations or len(measured)
    return Chart(points, -(-warm // size), -(-planned // size), low, high, f"n {count}")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def _spark(state: CellState, name: str) -> tuple[float | None, ...]:
    """The newest iterations; of the open one its tokens as they arrive."""
    size = len(state.samples)
    opened = () if state.lag else tuple(gap / 1e6 for gap in state.open_gaps_ns[-SPARK_POINTS:])
    if name == "ttft_ms":
        opened = opened[:1] if len(state.open_gaps_ns) <= SPARK_POINTS else ()
    elif name == "tpot_ms":
        opened = opened[1:]
    else:
        opened = ()
    done = tuple(metrics.value(state, name, i) for i in range(max(0, size - SPARK_POINTS), size))
    return done + opened


def metric_rows(state: CellState, memo: Memo, seed: int) -> tuple[Metric, ...]:
    """TTFT and TPOT, with the encoder's share where there is one; forward time of an encoder."""
    if state.cell.serving is not None:
        shown = _SERVED if state.family != "encoder" else (_SERVED[0], ("E2E", "e2e_ms"))
        return tuple(_metric(label, name, state, memo, seed) for label, name in shown)
    listed = {
        "encoder": (("forward", "e2e_ms"),),
        "seq2seq": (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"), ("encoder", "encoder_ms")),
    }.get(state.family or "", (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms")))
    return tuple(_metric(label, name, state, memo, seed) for label, name in listed)


def _metric(label: str, name: str, state: CellState, memo: Memo, seed: int) -> Metric:
    now = memo.now(state, name, seed)
    value = now.mean
    if value is None and state.samples.role and state.cell.serving is None:
        value = metrics.value(state, name, len(state.samples) - 1)
    waits = not state.over and not state.lag and value is None
    text = numbers.PENDING if waits else numbers.ms(value)
    said = (
        "withheld"
        if state.lag and name in ("ttft_ms", "tpot_ms", "encoder_ms")
        else numbers.half(now.half_width)
    )
    tail = ""
    if state.over and state.cell.serving is not None and now.n:
        high = memo.finals.of(state, seed)[name].p95
        tail = f"p95 need {FLOORS[95]}" if high is None else f"p95 {numbers.ms(high)}"
    return Metric(label, text, "ms", said, tail, _spark(state, name))


def measured_count(state: CellState) -> int:
    return sum(role == "measured" for role in state.samples.role)


def measured_ns(state: CellState) -> int:
    """What the measured iterations took together."""
    samples = state.samples
    pairs = zip(samples.e2e_ns, samples.role, strict=True)
    return sum(ns for ns, role in pairs if role == "measured")


def short_reason(state: CellState) -> str:
    """Why a cell failed, in a few words: `oom@load 3.1 GiB`, or the reason itself."""
    ending = state.finished
    if ending is None:
        return state.reason or state.status
    place = f"@{ending.phase}" if ending.phase else ""
    if ending.status == "oom":
        wanted = f" {numbers.gib(ending.wanted_bytes)} GiB" if ending.wanted_bytes else ""
        return f"oom{place}{wanted}"
    if ending.status == "timeout":
        return f"timeout{place}"
    return ending.reason or f"{ending.status}{place}"


def tag(state: CellState) -> str:
    """`oom@load`, `failed@first_forward`, `rejected`."""
    phase = state.finished.phase if state.finished else ""
    return f"{state.status}@{phase}" if phase else state.status


def peak_bytes(state: CellState) -> int | None:
    """The peak of the device where there is one, else of the host."""
    memory = state.memory
    if memory is None:
        return None
    for peak in (memory.device_bytes, memory.reserved_bytes, memory.host_bytes):
        if peak:
            return peak
    return None


def row(
    session: SessionState, state: CellState, reference: CellState | None, memo: Memo
) -> CellRow:
    """One line of the table. A cell that ended has its final figures once they were computed."""
    cell, plan = state.cell, session.plan
    running = cell.id in session.working
    base = CellRow(
        id=cell.id,
        state=_row_state(state, running),
        model=cell.model,
        precision=cell.precision,
        batch=cell.batch_size,
        attention=cell.attention,
        length=cell.sequence_length,
        tokens=cell.new_tokens,
        threads=cell.threads,
        offered=cell.offered,
    )
    if base.state == "waiting":
        predicted = predicted_bytes(cell)
        return replace(base, gib="" if predicted is None else numbers.gib(predicted, "~"))
    if base.state == "failed" and not state.invalid:
        dash = numbers.MISSING
        return replace(base, ttft=dash, tpot=dash, rate=dash, gib=dash, note=short_reason(state))
    now = figure(state, metrics.headline(state), memo, plan.seed)
    known = now.mean is not None
    peak = peak_bytes(state)
    wait = numbers.PENDING if base.state == "running" else numbers.MISSING
    half = (now.half_width or 0.0) * (now.mean or 0.0)
    relative = speed_up(state, now.mean, reference, memo, plan.seed)
    return replace(
        base,
        ttft=_cell_ms(state, "ttft_ms", memo, plan.seed, wait),
        tpot=_cell_ms(state, "tpot_ms", memo, plan.seed, wait),
        forward=_cell_ms(state, "e2e_ms", memo, plan.seed, wait),
        rate=numbers.three(now.mean) if known else wait,
        rate_value=now.mean or 0.0,
        half=f"±{_few_digits(half)}" if now.half_width is not None else "",
        gib=numbers.gib(peak) if peak else wait,
        note=_comparing(session, cell.id)
        or _note(state, plan, base.state, is_reference=reference is state),
        ratio=numbers.ratio(relative),
        badges=fidelity.forms(session.output_of(cell.id)) if relative else (),
    )


def _row_state(state: CellState, running: bool) -> str:
    if state.invalid or state.status in FAILED:
        return "failed"
    if running:
        return "running"
    if state.status == "ok":
        return "done"
    return "skipped" if state.over else "waiting"


def figure(state: CellState, name: str, memo: Memo, seed: int) -> Live:
    """What the table states of a metric: the final figure once it was computed, else the live."""
    final = memo.ended(state, name, seed) if memo.is_ready(state) else None
    return final or memo.live(state, name)


def _cell_ms(state: CellState, name: str, memo: Memo, seed: int, wait: str) -> str:
    if (name == "e2e_ms") != (state.family == "encoder"):
        return ""
    mean = figure(state, name, memo, seed).mean
    return wait if mean is None else numbers.ms(mean)


def _few_digits(value: float) -> str:
    if value >= 999.5:
        return numbers.big(value)[0][:3].rstrip(".") + numbers.big(value)[1]
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"


def _note(state: CellState, plan: Plan, kind: str, *, is_reference: bool) -> str:
    if state.invalid:
        return "INVALID"
    if kind == "skipped":
        return state.status
    n = measured_count(state)
    if kind == "running":
        if state.stage != "measuring":
            return "first" if state.stage == "first" else state.stage
        if state.cell.serving is not None:
            return f"{n}/{state.cell.serving.requests}"
        return f"{n}/{plan.fixed_iterations}" if plan.fixed_iterations else f"n {n}"
    if state.saturated:
        return "saturated"
    if 0 < n < SETTLED:
        return f"few: n = {n}"
    return "reference" if is_reference else ""


def _comparing(session: SessionState, name: str) -> str:
    """How far the comparison of a cell's output is, while it goes on."""
    at = session.comparing
    if at is None or at.cell != name:
        return ""
    return f"comparing {at.done / at.total if at.total else 0:.0%}"


def speed_up(
    state: CellState, mean: float | None, reference: CellState | None, memo: Memo, seed: int
) -> float | None:
    """How many times as fast as the reference cell; null without one that has ended, and where
    one of the two is INVALID."""
    if mean is None or reference is None or not reference.over:
        return None
    if state.invalid or reference.invalid:
        return None
    base = figure(reference, metrics.headline(reference), memo, seed).mean
    return mean / base if base else None
