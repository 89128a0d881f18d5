"""The second table of a session that served requests: the queue, the server, what was kept."""

from __future__ import annotations

from txtop.analysis import knee as knees
from txtop.analysis import metrics, serving
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text.columns import aligned
from txtop.formatting import MISSING, figure
from txtop.plan import references
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import FLOORS, Summary

COLUMNS = (
    ("server", "<"),
    ("offered/s", ">"),
    ("answered/s", ">"),
    ("answered", ">"),
    ("queue ms", ">"),
    ("E2E ms", ">"),
    ("p95 ms", ">"),
    ("served", ">"),
    ("slots %", ">"),
    ("padding %", ">"),
)
KV = ("KV %", ">")
GOODPUT = (("good/s", ">"), ("good %", ">"))


def lines(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Its lines, and the knees below; none where no cell served."""
    heading = columns(state)
    if not heading:
        return []
    names = [name for name, _ in heading]
    return [*aligned(heading, [names, *rows(state, finals)]), *below(state)]


def columns(state: SessionState) -> tuple[tuple[str, str], ...]:
    """Name and side of each column; none where no cell served."""
    served = _served(state)
    kv = [KV] if any(c.served.kv_most is not None for c in served) else []
    promised = GOODPUT if any(c.cell.serving and c.cell.serving.slo for c in served) else ()
    return (*COLUMNS, *kv, *promised) if served else ()


def rows(state: SessionState, finals: FinalMetrics) -> list[list[str]]:
    """A line a cell that served, in the order of `columns`."""
    names = [name for name, _ in columns(state)]
    return [[_row(state, c, finals).get(n, MISSING) for n in names] for c in _served(state)]


def _served(state: SessionState) -> list[CellState]:
    return [c for c in state.cells.values() if c.cell.serving is not None]


def _row(state: SessionState, cell: CellState, finals: FinalMetrics) -> dict[str, str]:
    found = finals.of(cell, state.plan.seed)
    known = serving.totals(cell)

    def mean(name: str, scale: float = 1.0) -> str:
        value = found[name].mean if name in found else None
        return figure(None if value is None else value * scale)

    offered = cell.served.offered
    e2e = found.get("e2e_ms")
    return {
        "server": sanitise(cell.cell.short, 60),
        "offered/s": "clients" if offered and offered.rate is None else _rate(cell),
        "answered/s": mean("requests_per_s"),
        "answered": f"{known.answered} of {known.sent}",
        "queue ms": mean("queue_ms"),
        "E2E ms": mean("e2e_ms"),
        "p95 ms": _p95(e2e),
        "served": mean("in_service"),
        "slots %": mean("occupancy", 100),
        "padding %": mean("padding_waste", 100),
        "KV %": mean("kv_cache_use", 100),
        "good/s": mean("goodput_requests_per_s"),
        "good %": mean("goodput_share", 100),
    }


def _rate(cell: CellState) -> str:
    return figure(cell.served.offered.rate) if cell.served.offered else MISSING


def _p95(found: Summary | None) -> str:
    if found is None or not found.n:
        return MISSING
    return f"need {FLOORS[95]}" if found.p95 is None else figure(found.p95)


def below(state: SessionState) -> list[str]:
    """What speed is by, and of each server that was swept where more load buys waiting and little
    else."""
    speeds = references.of_speed([c.cell for c in state.cells.values()])
    at_a_rate = any(c.cell.id in speeds and not c.cell.asks_all for c in _served(state))
    said = ["speed at one rate, which each answers, is by E2E"] if at_a_rate else []
    return said + [
        sanitise(
            f"{server.model_name} {server.precision} {server.scenario}: knee at "
            f"{figure(knee.served.offered.rate)} requests a second"
        )
        for server, knee in knees.knees(state).items()
        if knee.served.offered is not None
    ]


def words(state: CellState, found: dict[str, Summary]) -> list[str]:
    """What the line of a cell that has just ended says after its rate."""
    said = []
    for name, label in (("queue_ms", "queue"), ("ttft_ms", "TTFT"), ("e2e_ms", "E2E")):
        if name in metrics.names(state) and name in found and found[name].mean is not None:
            said.append(f"{label} {figure(found[name].mean)} ms")
    return said
