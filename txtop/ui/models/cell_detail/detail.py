"""All that is known of one cell: what the detail shows. Pure: from a session's state, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.options import reproduce
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models import hero as headline
from txtop.ui.models.cache import Memo
from txtop.ui.models.cell_detail.facts import Group, groups
from txtop.ui.models.cell_detail.histogram import Spread, spread
from txtop.ui.models.cell_detail.iterations import Strip, strip
from txtop.ui.models.cell_detail.metrics import Figure, figures
from txtop.ui.models.cell_detail.telemetry import Trace, traces
from txtop.ui.models.hero import Hero, load_phases


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
    shown, plan = strip(session, state, memo), session.plan
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
        command=memo.kept(
            ("command", name), plan, lambda: reproduce.format_cell_command(plan, state.cell)
        ),
    )


def _loading(state: CellState, hero: Hero) -> Loading:
    load = state.load
    now = hero.why if state.stage == "loading" else ""
    if load is None:
        return Loading(now=now)
    return Loading(load.load_s, load_phases(load), state.shares_weights, now)
