"""The search of `txtop fit` on the screen: the bracket that closes in, and its probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from txtop import formatting
from txtop.analysis.edge import (
    Edge,
    describe_fixed,
    describe_limit,
    explain_end,
    explain_failure,
    find_edges,
    find_search,
    has_outcome,
    judge_probe,
)
from txtop.forecast.last_phase import format_about
from txtop.forecast.probe_time import estimate_probe_s
from txtop.plan.plan import EdgeSearch
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cells import CellRow

ProbeState = Literal["ran", "failed", "running", "open"]


@dataclass(frozen=True)
class ProbeRow:
    """One probe: its value on the axis and as a text, its peak beside its forecast, and its rate.

    `why` is the reason that it did not run, what it is doing, or what goes on with it. `at_edge` if
    it is a side of the bracket.
    """

    id: str
    value: int
    label: str
    state: ProbeState
    gib: str
    forecast: str
    rate: str
    why: str
    at_edge: bool


@dataclass(frozen=True)
class EdgeView:
    """One edge: `low` ran and `high` did not, each None until known, `step` apart if it is `found`.

    `probes` are in the order of their values. Another search may differ by `spread`, 0 if that is
    unknown. `end` is what ended the search, where all ran. `peak_share` is the peak of the largest
    that ran as a share of the limit.
    """

    title: str
    fixed: str
    room: str
    probes: tuple[ProbeRow, ...]
    low: int | None
    high: int | None
    step: int
    found: bool
    spread: int
    end: str
    peak: str
    peak_share: float | None

    @property
    def row_count(self) -> int:
        """Return the rows of all of it: sentence, axis, memory, and the probes."""
        return 3 + len(self.probes)


def build_edges(state: SessionState, rows: Mapping[str, CellRow]) -> tuple[EdgeView, ...]:
    """Build the edges that a session searches; `rows` are those of its table, by cell."""
    search = find_search(state)
    if search is None:
        return ()
    edges = find_edges(state)
    views = [_build_edge(state, search, edge, rows) for edge in edges]
    # The second one of both begins when the first is found.
    return tuple(view for view, edge in zip(views, edges, strict=True) if edge.probes)


def _build_edge(
    state: SessionState, search: EdgeSearch, edge: Edge, rows: Mapping[str, CellRow]
) -> EdgeView:
    largest, peak, limit = edge.largest, edge.peak_bytes, edge.limit_bytes
    peak_gib, limit_gib = formatting.format_gibs(peak, limit)
    probes = {own.cell.id: state.probes.get(own.cell.id) for own in edge.probes.values()}
    forecasts = {name: probe.forecast_bytes for name, probe in probes.items() if probe is not None}
    peaks = {own.cell.id: own.peak_bytes for own in edge.probes.values() if has_outcome(own)}
    gibs, expected = _format_gibs(edge, peaks), _format_gibs(edge, forecasts)
    is_ended = edge.is_found and edge.smallest is None
    return EdgeView(
        title=edge.axis.title,
        fixed=describe_fixed(edge.axis, search),
        room=describe_limit(search, limit, limit_gib) if limit else "",
        probes=tuple(
            _build_probe(state, search, edge, own, rows, gibs, expected)
            for _, own in sorted(edge.probes.items(), reverse=True)
        ),
        low=edge.axis.read_value(largest.cell) if largest is not None else None,
        high=edge.axis.read_value(edge.smallest.cell) if edge.smallest is not None else None,
        step=edge.axis.step,
        found=edge.is_found,
        spread=edge.spread,
        end=explain_end(search, edge.axis) if is_ended else "",
        peak=peak_gib if peak is not None and limit else "",
        peak_share=peak / limit if peak is not None and limit else None,
    )


def _format_gibs(edge: Edge, sizes: Mapping[str, int | None]) -> dict[str, str]:
    """Format the sizes of probes by cell, so that both sides of an edge look unlike."""
    texts = {name: formatting.format_gibs(size)[0] for name, size in sizes.items() if size}
    sides = [own.cell.id for own in (edge.largest, edge.smallest) if own and own.cell.id in texts]
    return texts | dict(
        zip(sides, formatting.format_gibs(*map(sizes.__getitem__, sides)), strict=True)
    )


def _build_probe(
    state: SessionState,
    search: EdgeSearch,
    edge: Edge,
    own: CellState,
    rows: Mapping[str, CellRow],
    gibs: Mapping[str, str],
    forecasts: Mapping[str, str],
) -> ProbeRow:
    cell, row, outcome = own.cell, rows.get(own.cell.id), judge_probe(own, search)
    running = cell.id in state.working
    kind: ProbeState = "running" if running else "open"
    if outcome is not None:
        kind = "ran" if outcome.ran else "failed"
    elif own is edge.lost:
        kind = "failed"
    why: str = own.stage if running else ""
    if running and (probe_s := estimate_probe_s(state, own)) is not None:
        why += f", {format_about(probe_s)} in all"
    unit = "seq/s" if own.family == "encoder" else "tok/s"
    if kind == "failed":
        why = explain_failure(edge) if own is edge.smallest else own.reason or own.status or ""
    if own is edge.skipped and (header := state.header) is not None:
        why = f"skipped: txtop resume {header.name or header.session} goes on"
    return ProbeRow(
        id=cell.id,
        value=edge.axis.read_value(cell),
        label=edge.axis.format_value(cell),
        state=kind,
        gib=gibs.get(cell.id, ""),
        forecast=forecasts.get(cell.id, ""),
        rate=f"{row.rate} {unit}" if row is not None and kind == "ran" else "",
        why=why,
        at_edge=own is edge.largest or own is edge.smallest,
    )
