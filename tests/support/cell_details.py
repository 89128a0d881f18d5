"""Details of cells, from invented events and from recordings."""

from __future__ import annotations

from functools import cache

from support import ui_events
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import build_export
from txtop.export.schema import CellExport
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.resources import find_directory
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, build_cell_detail

BUNDLED = ("gpt2-precisions", "bert-lengths")
MS, S = ui_events.MS, ui_events.S


@cache
def recorded(name: str) -> SessionState:
    return fold_all(read_all(find_directory("sessions") / f"{name}.jsonl")[0])


@cache
def exported(name: str) -> list[CellExport]:
    return build_export(recorded(name), FinalMetrics()).cells


def plan(iterations: int = 20, **cell: object) -> Plan:
    made = Cell(id="c1", **{"model": "gpt2", **cell})  # type: ignore[arg-type]
    return Plan(cells=(made,), iterations=iterations, warmup=3)


def story(
    session_plan: Plan,
    *,
    slow: tuple[int, ...] = (),
    discarded: tuple[int, int] | None = None,
    gpus: int = 0,
    until: int | None = None,
) -> SessionState:
    """Return the state of one cell whose `slow` iterations take twice as long, up to iteration
    `until`.
    """
    made: list[AnyEvent] = [ui_events.header(session_plan)]
    for event in ui_events.Story(session_plan, gpus=gpus).cell(session_plan.cells[0]):
        if isinstance(event, events.Iteration):
            if event.index == until:
                break
            if event.index in slow:
                event.e2e_ns *= 2
        if isinstance(event, events.Memory) and discarded:
            first, count = discarded
            made.append(
                events.DisturbedBlock(
                    t_ns=event.t_ns, cell="c1", first=first, count=count, kept=False,
                    reasons=["thermal"],
                )
            )  # fmt: skip
        made.append(event)
    return fold_all(made)


def of(state: SessionState, name: str = "c1") -> CellDetailView:
    detail = build_cell_detail(state, name, FrameCache())
    assert detail is not None
    return detail


def events_of(session_plan: Plan) -> list[AnyEvent]:
    return [
        ui_events.header(session_plan),
        *ui_events.Story(session_plan).cell(session_plan.cells[0]),
    ]
