"""An invented sweep of two servers whose latencies are known.

Each can answer ten requests per second; a table gives the latency at each share of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from support import ui_events
from support.streams import MS
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.plan.serving import Scenario
from txtop.protocol import events
from txtop.protocol.events import AnyEvent

CAPACITY = 10.0
SERVICE_MS = 80
# By share of the capacity, null for the clients that found it out; power is highest at 0.6 of it
# in the one and at 0.8 in the other.
E2E_MS: dict[str, dict[float | None, int]] = {
    "dynamic": {None: 160, 0.2: 100, 0.4: 110, 0.6: 130, 0.8: 250, 0.9: 500, 1.0: 900, 1.2: 1000},
    "continuous": {None: 150, 0.2: 90, 0.4: 95, 0.6: 105, 0.8: 125, 0.9: 260, 1.0: 700, 1.2: 800},
}
SATURATED = (1.0, 1.2)
KNEES = {"dynamic": 6.0, "continuous": 8.0}


def plan(
    scenarios: Sequence[Scenario] = ("dynamic", "continuous"),
    requests: int = 150,
    model: str = "gpt2",
    slo: str | None = None,
) -> Plan:
    return build_plan(
        RunOptions(
            models=[model],
            scenario=list(scenarios),
            rate=["sweep"],
            requests=requests,
            sequence_lengths=[32],
            new_tokens=[8],
            slo=slo,
        )
    )


@dataclass
class Sweep:
    """A writer of a sweep. `open_at` is the cell that is left open after that many answers, `few`
    the number of answers of a cell that has fewer than its plan has requests.
    """

    plan: Plan
    open_at: tuple[str, int] | None = None
    few: tuple[str, int] | None = None

    def events(self) -> Iterator[AnyEvent]:
        story = Unwatched(self.plan)
        yield ui_events.header(self.plan)
        for cell in self.plan.cells:
            yield from story.started(cell)
            count = self._requests(cell)
            yield from _served(story, cell, count)
            if self.open_at is not None and cell.id == self.open_at[0]:
                return
            yield events.Memory(t_ns=story.t_ns, cell=cell.id, host_bytes=900 << 20)
            yield events.CellFinished(
                t_ns=story.t_ns,
                cell=cell.id,
                status="ok",
                stopped_by="saturated" if share(cell) in SATURATED else "requests",
                n=count,
            )
        yield events.SessionEnded(
            t_ns=story.t_ns, reason="done", wall_s=0.0, statistics_version=1, sha256=""
        )

    def _requests(self, cell: Cell) -> int:
        assert cell.serving is not None
        for some in (self.open_at, self.few):
            if some is not None and cell.id == some[0]:
                return some[1]
        return cell.serving.requests


class Unwatched(ui_events.Story):
    """A sweep without telemetry, which has fewer events."""

    def samples(self) -> Iterator[AnyEvent]:
        return iter(())


def share(cell: Cell) -> float | None:
    return cell.serving.share if cell.serving else None


def _served(story: Unwatched, cell: Cell, count: int) -> Iterator[AnyEvent]:
    """Return evenly spaced requests; a saturated server answers each later than the last."""
    assert cell.serving is not None
    of, begun = share(cell), story.t_ns
    rate, took = CAPACITY * (of or 1.0), E2E_MS[cell.scenario][of]
    clients = None if of else cell.serving.concurrency
    offered = events.OfferedLoad(
        t_ns=begun,
        cell=cell.id,
        requests=cell.serving.requests,
        rate=rate if of else None,
        clients=clients,
    )
    yield offered
    decoder = "bert" not in cell.model
    for i in range(count):
        at = begun + round(i / rate * 1e9)
        e2e = (took + (20 * i if of in SATURATED else 0)) * MS
        story.t_ns = at + e2e
        first = at + e2e - SERVICE_MS * MS + 10 * MS
        yield events.Request(
            t_ns=story.t_ns,
            cell=cell.id,
            index=i,
            role="measured",
            arrival_ns=at,
            sent_ns=at,
            start_ns=at + e2e - SERVICE_MS * MS,
            first_ns=first if decoder else None,
            end_ns=at + e2e,
            prompt_tokens=32,
            tokens=8 if decoder else 0,
            gaps_ns=[10 * MS] * 7 if decoder else [],
        )
    yield events.OfferedLoad(
        t_ns=story.t_ns,
        cell=cell.id,
        requests=offered.requests,
        rate=offered.rate,
        clients=clients,
        sent=count,
    )
