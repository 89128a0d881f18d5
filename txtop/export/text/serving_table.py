"""Write the second table of a session that served requests: the queue, the server, the SLO."""

from __future__ import annotations

from txtop.analysis import metrics, serving
from txtop.analysis.knee import find_knees
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text.columns import cut_cells
from txtop.export.text.fitting import format_table
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
CACHED_COLUMN = ("cached %", ">")
GOODPUT_COLUMNS = (("good/s", ">"), ("good %", ">"))


def format_serving_table(
    state: SessionState, finals: FinalMetrics, width: int | None = None
) -> list[str]:
    """Return the lines of the table and its footnotes; empty if no cell served."""
    heading = list_serving_columns(state)
    if not heading:
        return []
    rows = shorten_servers(state, build_serving_rows(state, finals))
    return [
        *format_table(heading, rows, width),
        *build_footnotes(state),
    ]


def shorten_servers(state: SessionState, rows: list[list[str]]) -> list[list[str]]:
    """Return rows whose names lack the words with which all begin or end.

    If other cells did not serve, the names stay whole: the table of all cells does not hold what
    the servers share.
    """
    names = [row[0].split() for row in rows]
    if len(names) < max(2, len(state.cells)):
        return rows
    for place in (0, -1):
        while min(map(len, names)) > 1 and len({name[place] for name in names}) == 1:
            for name in names:
                name.pop(place)
    return [[" ".join(name), *row[1:]] for name, row in zip(names, rows, strict=True)]


def list_serving_columns(state: SessionState) -> tuple[tuple[str, str], ...]:
    """Return name and side of each column; empty if no cell served."""
    served = _select_serving_cells(state)
    kv = [KV_COLUMN] if any(c.served.kv_most is not None for c in served) else []
    kv += [CACHED_COLUMN] if any(c.cell.prefix_cache == "on" for c in served) else []
    promised = GOODPUT_COLUMNS if any(c.cell.serving and c.cell.serving.slo for c in served) else ()
    return (*COLUMNS, *kv, *promised) if served else ()


def build_serving_rows(state: SessionState, finals: FinalMetrics) -> list[list[str]]:
    """Return a row for each cell that served, in the order of `list_serving_columns`."""
    names = [name for name, _ in list_serving_columns(state)]
    return [
        [_build_row(state, c, finals).get(n, MISSING) for n in names]
        for c in _select_serving_cells(state)
    ]


def _select_serving_cells(state: SessionState) -> list[CellState]:
    return [c for c in state.cells.values() if c.cell.serving is not None]


def _build_row(state: SessionState, cell: CellState, finals: FinalMetrics) -> dict[str, str]:
    figures = finals.of(cell, state.plan.seed)
    totals = serving.count_totals(cell)

    def mean(name: str, scale: float = 1.0) -> str:
        value = figures[name].mean if name in figures else None
        return format_figure(None if value is None else value * scale)

    offered = cell.served.offered
    e2e = figures.get("e2e_ms")
    return {
        "server": cut_cells(sanitise(labels.format_short_label(cell.cell)), 60),
        "offered/s": "clients" if offered and offered.rate is None else _format_rate(cell),
        "answered/s": mean("requests_per_s"),
        "answered": f"{totals.answered} of {totals.sent}",
        "queue ms": mean("queue_ms"),
        "E2E ms": mean("e2e_ms"),
        "p95 ms": _format_p95(e2e),
        "served": mean("in_service"),
        "slots %": mean("occupancy", 100),
        "padding %": mean("padding_waste", 100),
        "KV %": mean("kv_cache_use", 100),
        "cached %": mean("prefix_cached", 100),
        "good/s": mean("goodput_requests_per_s"),
        "good %": mean("goodput_share", 100),
    }


def _format_rate(cell: CellState) -> str:
    return format_figure(cell.served.offered.rate) if cell.served.offered else MISSING


def _format_p95(latency: Summary | None) -> str:
    if latency is None or not latency.n:
        return MISSING
    return f"after {PERCENTILE_FLOORS[95]}" if latency.p95 is None else format_figure(latency.p95)


def build_footnotes(state: SessionState) -> list[str]:
    """Return the basis of the speed column, and the knee of each server that was swept."""
    speeds = references.find_speed_references([c.cell for c in state.cells.values()])
    at_a_rate = any(
        c.cell.id in speeds and not c.cell.asks_all for c in _select_serving_cells(state)
    )
    footnotes = ["speed at one rate, which each answers, is by E2E"] if at_a_rate else []
    return footnotes + [
        sanitise(
            f"{server.model_name} {server.precision} {server.scenario}: knee at "
            f"{format_figure(knee.served.offered.rate)} requests per second"
        )
        for server, knee in find_knees(state).items()
        if knee.served.offered is not None
    ]


def build_summary_parts(state: CellState, figures: dict[str, Summary]) -> list[str]:
    """Return the latencies in the line of a cell that has just ended, after its rate."""
    parts = []
    for name, label in (("queue_ms", "queue"), ("ttft_ms", "TTFT"), ("e2e_ms", "E2E")):
        if (
            name in metrics.list_metrics(state)
            and name in figures
            and figures[name].mean is not None
        ):
            parts.append(f"{label} {format_figure(figures[name].mean)} ms")
    return parts
