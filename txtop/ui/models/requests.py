"""The requests of a running server for the hero: waiting, in service, and answered last.

`hero` draws these for a serving cell where other cells have a chart of their iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.analysis import metrics, serving
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.stats.queueing import BATCH_COUNT
from txtop.ui.models.hero_metrics import MAX_BINS, Chart, count_measured
from txtop.ui.models.round_numbers import round_outwards
from txtop.units import NS_PER_MS, NS_PER_S

MAX_NEWEST = 64
MAX_SLICES = 60


@dataclass(frozen=True)
class RunningRequestView:
    """A request in service: its number, the tokens it has, and the tokens it asks for."""

    number: int
    done: int
    wanted: int


@dataclass(frozen=True)
class RequestsView:
    """The requests of a server at one moment.

    `answered` of `requests` are done. `newest` are (number, latency in ms) of those answered last,
    newest first. During warm-up `warm` is True and the counts are those of the warm-up. `told` is
    True once the server has reported its requests and has had a request.
    """

    waiting: int = 0
    slots: int = 1
    running: tuple[RunningRequestView, ...] = ()
    answered: int = 0
    requests: int = 0
    newest: tuple[tuple[int, float], ...] = ()
    warm: bool = False
    told: bool = False


def build_requests(state: CellState, plan: Plan) -> RequestsView | None:
    """Build the view of a serving cell at work; None for any other cell."""
    asked = state.cell.serving
    if asked is None or state.over:
        return None
    served, samples = state.served, state.samples
    warm = served.offered is None
    total = plan.warmup_requests(state.cell) if warm else asked.requests
    answered = len(samples) if warm else count_measured(state)
    status = served.status
    newest = range(len(samples) - 1, max(-1, len(samples) - 1 - MAX_NEWEST), -1)
    counted = [i for i in newest if warm or samples.role[i] == "measured"]
    # Lanes are reported at intervals: a request in them may have been answered since.
    gone = {served.index[i] for i in counted if samples.at_ns[i] > served.status_at_ns}
    running = status.running if status else []
    return RequestsView(
        waiting=status.waiting if status else 0,
        slots=status.slots if status else state.cell.slots,
        running=tuple(
            RunningRequestView(*request) for request in running if request[0] not in gone
        ),
        answered=answered,
        requests=total,
        newest=tuple((served.index[i], samples.e2e_ns[i] / NS_PER_MS) for i in counted),
        warm=warm,
        told=status is not None and bool(answered or status.waiting or running),
    )


def build_requests_chart(state: CellState) -> Chart:
    """Build the chart of a serving cell: its throughput over time once it is over.

    Before that its bins are empty, as many as the share of answered requests.
    """
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
    most = round_outwards(0.0, max(points, default=0.0) or 1.0)[1]
    label = f"{formatting.format_number(took_s)} s" if points else ""
    return Chart(tuple(points), 0, max(1, len(points)), 0.0, most, label, filled=True)


def format_server_notes(state: CellState, answered: float | None) -> tuple[str, ...]:
    """Return the notes beside the rate, longest wording first; the panel takes the first that fits.

    They give the offered load where it is not the answered one or was set as a share, and the
    goodput where the plan has an SLO.
    """
    asked, offered = state.cell.serving, state.served.offered
    if asked is None or offered is None:
        return ()
    notes: list[tuple[str, str]] = []
    if state.saturated and offered.rate is not None and answered is not None:
        offered_rate, answered_rate = _format_rate(offered.rate), _format_rate(answered)
        notes.append(
            (
                f"offered {offered_rate}/s, answered {answered_rate}/s",
                f"{answered_rate} of {offered_rate}/s answered",
            )
        )
    elif asked.share is not None and offered.rate is not None:
        notes.append((f"offered {_format_rate(offered.rate)}/s",) * 2)
    good = serving.compute_goodput(state)
    if asked.slo is not None and good is not None:
        brief = f"goodput {formatting.format_share(good[1])}"
        notes.append(
            (f"{brief}, {formatting.format_number(good[0])}/s in {asked.slo.words()}", brief)
        )
    if not notes:
        return ()
    long, short = (" · ".join(forms) for forms in zip(*notes, strict=True))
    middle = " · ".join((notes[0][0], *(brief for _, brief in notes[1:])))
    return tuple(dict.fromkeys((long, middle, short, notes[-1][1])))


def _format_rate(value: float) -> str:
    return f"{value:.1f}" if 1 <= value < 99.95 else formatting.format_number(value)
