"""Invented searches for what fits, probe by probe."""

from __future__ import annotations

from collections.abc import Iterator

from support import ui_events
from txtop.forecast.edge import choose_next_probe
from txtop.plan.cell import Cell
from txtop.plan.plan import EdgeSearch, Largest, Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState

MIB = 1 << 20
BASE = Cell(id="", model="gpt2", batch_size=2, sequence_length=128, new_tokens=32, device="cpu")


def build_search(largest: Largest = "batch-size", limit_mib: int | None = 2000) -> EdgeSearch:
    limit = None if limit_mib is None else limit_mib * MIB
    return EdgeSearch(largest=largest, base=BASE, limit_bytes=limit, asked=True)


def begin(search: EdgeSearch) -> tuple[SessionState, ui_events.Story]:
    """Return a session of `search` before its first probe, and the writer of its events."""
    first = choose_next_probe(SessionState(), search)
    assert first is not None
    plan = Plan(cells=(first.cell,), iterations=3, warmup=1, edge_search=search)
    return fold_all([ui_events.header(plan)]), ui_events.Story(plan)


def run_probe(
    story: ui_events.Story, cell: Cell, peak_mib: int | None, forecast_mib: int = 1000
) -> Iterator[AnyEvent]:
    """Yield the events of a probe that ran with that peak, or that ran out of memory."""
    yield events.Probe(t_ns=story.t_ns, added=cell, forecast_bytes=forecast_mib * MIB)
    for event in story.cell(cell, "ok" if peak_mib is not None else "oom"):
        if isinstance(event, events.Memory):
            event.host_bytes = (peak_mib or 0) * MIB
        if isinstance(event, events.CellFinished) and event.status == "oom":
            event.reason = "out of memory on the host"
        yield event


def search_whole(*, probes: int = 8, running: bool = False) -> Iterator[AnyEvent]:
    """Yield a search of which the peak is 900 MiB and 20 MiB a sequence, up to so many probes.

    With `running` the last of them is at work.
    """
    search = build_search()
    state, story = begin(search)
    yield ui_events.header(story.plan)
    for number in range(1, probes + 1):
        chosen = choose_next_probe(state, search)
        if chosen is None:
            break
        cell = chosen.cell
        peak = 900 + 20 * cell.batch_size
        expected = (chosen.forecast_bytes or 0) // MIB
        if running and number == probes:
            yield events.Probe(t_ns=story.t_ns, added=cell, forecast_bytes=expected * MIB)
            yield from story.started(cell)
            return
        for event in run_probe(story, cell, peak if peak <= 2000 else None, expected):
            fold(state, event)
            yield event
    yield events.SessionEnded(
        t_ns=story.t_ns, reason="done", wall_s=0.0, statistics_version=1, sha256=""
    )
