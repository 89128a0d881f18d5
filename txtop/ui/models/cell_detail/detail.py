"""The detail of one cell, put together from its parts. Pure: from a session's state, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.options import command_line
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.facts import FactGroup, build_fact_groups
from txtop.ui.models.cell_detail.histogram import HistogramView, build_histogram
from txtop.ui.models.cell_detail.iterations import IterationsView, build_iterations
from txtop.ui.models.cell_detail.metrics import DetailMetric, build_detail_metrics
from txtop.ui.models.cell_detail.telemetry import Trace, build_traces
from txtop.ui.models.hero import HeroView, build_hero, label_load_phases


@dataclass(frozen=True)
class LoadPhasesView:
    """The phases of a load in seconds, those that took part in it, in their order.

    `shared` is True if an earlier cell loaded the weights; the figures are then those of that load.
    `now` describes the present step of a cell that still loads.
    """

    load_s: float | None = None
    phases: tuple[tuple[str, float], ...] = ()
    shared: bool = False
    now: str = ""


@dataclass(frozen=True)
class CellDetailView:
    """One cell in full.

    `place` is its position among the `count` cells of the plan, from 1. `iterations` holds its
    iterations, `histogram` the distribution of its latencies, `metrics` its metrics. `command`
    measures it again.
    """

    id: str
    place: int
    count: int
    hero: HeroView
    iterations: IterationsView
    traces: tuple[Trace, ...]
    histogram: HistogramView
    loading: LoadPhasesView
    metrics: tuple[DetailMetric, ...]
    groups: tuple[FactGroup, ...]
    command: str


def build_cell_detail(session: SessionState, name: str, cache: FrameCache) -> CellDetailView | None:
    """Build the detail of cell `name`; None if the session has no such cell."""
    state = session.cells.get(name)
    if state is None:
        return None
    iterations, plan = build_iterations(session, state, cache), session.plan
    hero = build_hero(session, state, cache.references(session), cache)
    return CellDetailView(
        id=name,
        place=list(session.cells).index(name) + 1,
        count=len(session.cells),
        hero=hero,
        iterations=iterations,
        traces=build_traces(session, state, iterations, cache),
        histogram=build_histogram(session, state, cache),
        loading=_build_load_phases(state, hero),
        metrics=build_detail_metrics(session, state, cache),
        groups=build_fact_groups(session, state, cache),
        command=cache.get_or_make(
            ("command", name),
            (plan, state.place),
            lambda: command_line.format_cell_command(plan, state.cell.put_on(state.place)),
        ),
    )


def _build_load_phases(state: CellState, hero: HeroView) -> LoadPhasesView:
    load = state.load
    now = hero.why if state.stage == "loading" else ""
    if load is None:
        return LoadPhasesView(now=now)
    return LoadPhasesView(load.load_s, label_load_phases(load), state.shares_weights, now)
