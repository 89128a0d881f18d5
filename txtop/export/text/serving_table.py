"""The second table of a session that served requests: the queue, the server, what was kept."""

from __future__ import annotations

from txtop.analysis import knee as knees
from txtop.analysis import metrics, serving
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text.columns import align_columns
from txtop.formatting import MISSING, format_figure
from txtop.plan import labels, references
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import PERCENTILE_FLOORS, Summary

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
KV_COLUMN = ("KV %", ">")
GOODPUT_COLUMNS = (("good/s", ">"), ("good %", ">"))


def format_serving_table(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Its lines, and the knees below; none where no cell served."""
    heading = list_serving_columns(state)
    if not heading:
        return []
    names = [name for name, _ in heading]
    return [
        *align_columns(heading, [names, *build_serving_rows(state, finals)]),
        *build_footnotes(state),
    ]


def list_serving_columns(state: SessionState) -> tuple[tuple[str, str], ...]:
    """Name and side of each column; none where no cell served."""
    served = _select_serving_cells(state)
    kv = [KV_COLUMN] if any(c.served.kv_most is not None for c in served) else []
    promised = GOODPUT_COLUMNS if any(c.cell.serving and c.cell.serving.slo for c in served) else ()
    return (*COLUMNS, *kv, *promised) if served else ()


def build_serving_rows(state: SessionState, finals: FinalMetrics) -> list[list[str]]:
    """A line a cell that served, in the order of `list_serving_columns`."""
    names = [name for name, _ in list_serving_columns(state)]
    return [
        [_build_row(state, c, finals).get(n, MISSING) for n in names]
        for c in _select_serving_cells(state)
    ]


def _select_serving_cells(state: SessionState) -> list[CellState]:
    return [c for c in state.cells.values() if c.cell.serving is not None]


def _build_row(state: SessionState, cell: CellState, finals: FinalMetrics) -> dict[str, str]:
    found = finals.of(cell, state.plan.seed)
    known = serving.count_totals(cell)

    def mean(name: str, scale: float = 1.0) -> str:
        value = found[name].mean if name in found else None
        return format_figure(None if value is None else value * scale)

    offered = cell.served.offered
    e2e = found.get("e2e_ms")
    return {
        "server": sanitise(labels.format_short_label(cell.cell), 60),
        "offered/s": "clients" if offered and offered.rate is None else _format_rate(cell),
        "answered/s": mean("requests_per_s"),
        "answered": f"{known.answered} of {known.sent}",
        "queue ms": mean("queue_ms"),
        "E2E ms": mean("e2e_ms"),
        "p95 ms": _format_p95(e2e),
        "served": mean("in_service"),
        "slots %": mean("occupancy", 100),
        "padding %": mean("padding_waste", 100),
        "KV %": mean("kv_cache_use", 100),
        "good/s": mean("goodput_requests_per_s"),
        "good %": mean("goodput_share", 100),
    }


def _format_rate(cell: CellState) -> str:
    return format_figure(cell.served.offered.rate) if cell.served.offered else MISSING


def _format_p95(found: Summary | None) -> str:
    if found is None or not found.n:
        return MISSING
    return f"need {PERCENTILE_FLOORS[95]}" if found.p95 is None else format_figure(found.p95)


def build_footnotes(state: SessionState) -> list[str]:
    """What speed is by, and of each server that was swept where more load buys waiting and little
    else."""
    speeds = references.find_speed_references([c.cell for c in state.cells.values()])
    at_a_rate = any(
        c.cell.id in speeds and not c.cell.asks_all for c in _select_serving_cells(state)
    )
    said = ["speed at one rate, which each answers, is by E2E"] if at_a_rate else []
    return said + [
        sanitise(
            f"{server.model_name} {server.precision} {server.scenario}: knee at "
            f"{format_figure(knee.served.offered.rate)} requests a second"
        )
        for server, knee in knees.find_knees(state).items()
        if knee.served.offered is not None
    ]


def build_summary_parts(state: CellState, found: dict[str, Summary]) -> list[str]:
    """What the line of a cell that has just ended says after its rate."""
    said = []
    for name, label in (("queue_ms", "queue"), ("ttft_ms", "TTFT"), ("e2e_ms", "E2E")):
        if name in metrics.list_metrics(state) and name in found and found[name].mean is not None:
            said.append(f"{label} {format_figure(found[name].mean)} ms")
    return said
