"""All that is known of one cell: what the detail shows. Pure: from a session's state, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import metrics, reproduce, watched
from txtop.cell_state import CellState
from txtop.metrics import FAMILY_METRICS, LOAD_PHASES, PER_ITERATION
from txtop.state import SessionState
from txtop.stats.summary import FLOORS, Summary, percentile
from txtop.ui import headline
from txtop.ui.figures import Memo
from txtop.ui.headline import NAMED_PHASES, Hero
from txtop.ui.iterations import Strip, strip
from txtop.ui.known import Group, groups
from txtop.ui.spread import Spread, spread
from txtop.ui.traces import Trace, traces

LABELS = {
    "tokens_per_s": "tok/s",
    "ttft_ms": "TTFT",
    "tpot_ms": "TPOT",
    "itl_ms": "ITL",
    "e2e_ms": "E2E",
    "encoder_ms": "encoder",
    "prefill_tokens_per_s": "prefill",
    "decode_tokens_per_s": "decode",
    "sequences_per_s": "seq/s",
    "gpu_utilization": "GPU",
    "power_w": "power",
}
LAST = ("cost_per_million_tokens", "cost_per_million_sequences")
STATED = (50, 90, 99)


@dataclass(frozen=True)
class Figure:
    """One metric: what the export says of it. A percentile is null where `n` is too small."""

    label: str
    unit: str
    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    percentiles: tuple[tuple[int, float | None], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Loading:
    """The phases of a load in seconds, those that took part in it, in their order.

    `shared`: the weights were there from a cell before, whose load this was. `now` says what a
    cell that still loads is doing.
    """

    load_s: float | None = None
    phases: tuple[tuple[str, float], ...] = ()
    shared: bool = False
    now: str = ""


@dataclass(frozen=True)
class Detail:
    """One cell. `place` of `count` is where it stands in the plan, from 1 on."""

    id: str
    place: int
    count: int
    hero: Hero
    strip: Strip
    traces: tuple[Trace, ...]
    spread: Spread
    loading: Loading
    figures: tuple[Figure, ...]
    groups: tuple[Group, ...]
    command: str


def detail(session: SessionState, name: str, memo: Memo) -> Detail | None:
    """Null where the session has no such cell."""
    state = session.cells.get(name)
    if state is None:
        return None
    shown = strip(session, state, memo)
    hero = headline.hero(session, state, memo.references(session), memo)
    return Detail(
        id=name,
        place=list(session.cells).index(name) + 1,
        count=len(session.cells),
        hero=hero,
        strip=shown,
        traces=traces(session, state, shown, memo),
        spread=spread(session, state, memo),
        loading=_loading(state, hero),
        figures=figures(session, state, memo),
        groups=groups(session, state, memo),
        command=reproduce.command(session.plan, state.cell),
    )


def _loading(state: CellState, hero: Hero) -> Loading:
    load = state.load
    now = hero.why if state.stage == "loading" else ""
    if load is None:
        return Loading(now=now)
    named = [p for p in LOAD_PHASES if p in load.phases]
    named += [p for p in load.phases if p not in named]
    phases = tuple((NAMED_PHASES.get(p, p).replace("_", " "), load.phases[p]) for p in named)
    return Loading(load.load_s, phases, state.shares_weights, now)


def figures(session: SessionState, state: CellState, memo: Memo) -> tuple[Figure, ...]:
    """Final ones, as the export has them, once the cell is over; before that what can be said."""
    size = (len(state.samples), len(state.samples.discarded), state.memory is not None)
    key = (state.cell.id, state.started_at_ns, size, state.over)
    make = _final if state.over else _live
    return memo.kept("figures", key, lambda: make(session, state, memo))


def _final(session: SessionState, state: CellState, memo: Memo) -> tuple[Figure, ...]:
    if not state.samples.role:
        return ()
    memo.ended(state, metrics.headline(state), session.plan.seed)
    found = memo.finals.of(state, session.plan.seed)
    found = {**found, **watched.figures(session, state)}
    found |= metrics.cost(state, found, session.plan.cost_per_hour)
    named = [name for name in _order(state) if name in found]
    named += [name for name in found if name.startswith("energy") or name in LAST]
    return tuple(_figure(name, found[name]) for name in named)


def _order(state: CellState) -> tuple[str, ...]:
    """What a cell is run for, latencies, what follows from them, and then the machine."""
    if state.family == "encoder":
        return ("sequences_per_s", "e2e_ms", "gpu_utilization", "power_w")
    return tuple(name for name in LABELS if name != "encoder_ms" or state.family == "seq2seq")


def _label(name: str) -> str:
    if name.startswith("energy_net"):
        return "net"
    if name.startswith("energy"):
        return "energy"
    return "cost" if name in LAST else LABELS[name]


def _figure(name: str, found: Summary) -> Figure:
    stated = {50: found.p50, 90: found.p90, 99: found.p99}
    single = found.n == 1 and not name.endswith(("_ms", "_s"))
    return Figure(
        label=_label(name),
        unit=found.unit,
        n=found.n,
        mean=found.mean,
        ci95=found.ci95,
        percentiles=() if single else tuple(stated.items()),
        note=found.notes[0] if found.mean is None and found.notes else "",
    )


def _live(session: SessionState, state: CellState, memo: Memo) -> tuple[Figure, ...]:
    return tuple(
        _so_far(name, state, memo)
        for name in _order(state)
        if name in FAMILY_METRICS.get(state.family or "", ()) or name == "itl_ms"
        if name != "itl_ms" or state.family != "encoder"
    )


def _so_far(name: str, state: CellState, memo: Memo) -> Figure:
    if name == "itl_ms":
        gaps, means = metrics.itl_ms(state)
        n, mean = len(means), sum(gaps) / len(gaps) if gaps else None
        return Figure("ITL", "ms", n, mean, None, _percentiles(gaps, n))
    now = memo.live(state, name)
    values = metrics.values(state, name)
    unit = PER_ITERATION[name][0]
    return Figure(LABELS[name], unit, now.n, now.mean, now.ci95, _percentiles(values, len(values)))


def _percentiles(values: list[float], n: int) -> tuple[tuple[int, float | None], ...]:
    ordered = sorted(values)
    return tuple(
        (p, percentile(ordered, p) if ordered and n >= FLOORS[p] else None) for p in STATED
    )
