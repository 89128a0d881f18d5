"""A server at work, as the hero shows it: who waits, who is served, who was answered last."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.analysis import metrics, serving
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.stats.queueing import BATCH_COUNT
from txtop.ui.models.hero_metrics import MAX_BINS, Chart, count_measured
from txtop.units import NS_PER_MS, NS_PER_S

MAX_NEWEST = 64
MAX_SLICES = 60


@dataclass(frozen=True)
class RunningRequestView:
    """A request that is served: its number, the tokens it has, and those it wants."""

    number: int
    done: int
    wanted: int


@dataclass(frozen=True)
class RequestsView:
    """Requests as they move. `newest` are those answered last, with their latency in ms, the
    newest first; while it is `warm`-up they count for nothing."""

    waiting: int = 0
    slots: int = 1
    running: tuple[RunningRequestView, ...] = ()
    answered: int = 0
    requests: int = 0
    newest: tuple[tuple[int, float], ...] = ()
    warm: bool = False
    told: bool = False


def build_requests(state: CellState, plan: Plan) -> RequestsView | None:
    """Null where no requests are served, and when it is over."""
    asked = state.cell.serving
    if asked is None or state.over:
        return None
    served, samples = state.served, state.samples
    warm = served.offered is None
    wanted = plan.warmup_requests(state.cell) if warm else asked.requests
    answered = len(samples) if warm else count_measured(state)
    seen = served.lanes
    newest = range(len(samples) - 1, max(-1, len(samples) - 1 - MAX_NEWEST), -1)
    mine = [i for i in newest if warm or samples.role[i] == "measured"]
    # A request may be answered before the lanes are told again.
    gone = {served.index[i] for i in mine if samples.at_ns[i] > served.lanes_at_ns}
    running = seen.running if seen else []
    return RequestsView(
        waiting=seen.waiting if seen else 0,
        slots=seen.slots if seen else state.cell.slots,
        running=tuple(RunningRequestView(*lane) for lane in running if lane[0] not in gone),
        answered=answered,
        requests=wanted,
        newest=tuple((served.index[i], samples.e2e_ns[i] / NS_PER_MS) for i in mine),
        warm=warm,
        told=seen is not None and bool(answered or seen.waiting or running),
    )


def build_requests_chart(state: CellState) -> Chart:
    """Throughput over the time of a cell that is over; of one at work only how far it is."""
    asked = state.cell.serving
    assert asked is not None
    n = count_measured(state)
    if not state.over:
        bins = min(MAX_BINS, asked.requests)
        return Chart((None,) * (n * bins // asked.requests), 0, bins, label=f"n {n}")
    slices = max(BATCH_COUNT, min(MAX_SLICES, n))
    points = (
        serving.compute_rates(state, metrics.choose_headline_metric(state), slices) if n else []
    )
    window = serving.compute_window_ns(state)
    took_s = (window[1] - window[0]) / NS_PER_S if window else 0.0
    most = max(points, default=0.0) or 1.0
    label = f"{formatting.format_number(took_s)} s" if points else ""
    return Chart(tuple(points), 0, max(1, len(points)), 0.0, most, label, filled=True)


def describe_server_state(state: CellState) -> tuple[str, str, str] | None:
    """Glyph, word and colour of a server that was measured to its end; null for any other cell."""
    if state.cell.serving is None or state.status != "ok":
        return None
    return ("▲", "SATURATED", "warn.bold") if state.saturated else ("✓", "done", "ok.bold")


def format_server_notes(state: CellState, answered: float | None) -> tuple[str, ...]:
    """What stands beside the rate, from the longest form on: the load that was offered where that
    is not what was answered, and how much of it kept what was promised."""
    asked, offered = state.cell.serving, state.served.offered
    if asked is None or offered is None:
        return ()
    said: list[tuple[str, str]] = []
    if state.saturated and offered.rate is not None and answered is not None:
        came, went = _format_rate(offered.rate), _format_rate(answered)
        said.append((f"offered {came}/s, answered {went}/s", f"{went} of {came}/s answered"))
    elif asked.share is not None and offered.rate is not None:
        said.append((f"offered {_format_rate(offered.rate)}/s",) * 2)
    good = serving.compute_goodput(state)
    if asked.slo is not None and good is not None:
        brief = f"goodput {good[1] * 100:.0f} %"
        said.append(
            (f"{brief}, {formatting.format_number(good[0])}/s in {asked.slo.words()}", brief)
        )
    if not said:
        return ()
    long, short = (" · ".join(forms) for forms in zip(*said, strict=True))
    middle = " · ".join((said[0][0], *(brief for _, brief in said[1:])))
    return tuple(dict.fromkeys((long, middle, short, said[-1][1])))


def _format_rate(value: float) -> str:
    return f"{value:.1f}" if 1 <= value < 99.95 else formatting.format_number(value)
