"""What servers do under load, as a plot: how much is answered, and how long that takes."""

from __future__ import annotations

from txtop.analysis import knee
from txtop.analysis.metrics import FinalMetrics
from txtop.export.html.plots import Point, few, joined, median_of
from txtop.sanitise import sanitise
from txtop.state.session import SessionState


def curve(state: SessionState, finals: FinalMetrics) -> str:
    """E2E against requests answered a second, a line a server; nothing with one load each. Clients
    are on no line: who waits for an answer does not queue."""
    servers: dict[str, list[Point]] = {}
    for cell in state.cells.values():
        if cell.cell.serving is None or cell.status != "ok":
            continue
        time_ms = median_of(cell, finals, state.plan.seed, "e2e_ms")
        rate = knee.answered_rate(cell)
        if time_ms and rate:
            asked = cell.cell
            name = f"{asked.model_name} {asked.precision} {asked.scenario}"
            load = asked.offered.removeprefix(f"{asked.scenario} ")
            at = Point(rate, time_ms, load, knee.offered_rate(cell))
            servers.setdefault(sanitise(name, 40), []).append(at)
    if all(len(points) < 2 for points in servers.values()):
        return ""
    said = "E2E of requests against how many were answered a second, a line a server"
    return joined(few(servers), "requests answered a second", "E2E of a request, ms", "curve", said)
