"""The requests of one cell as far as they were answered, in columns, and the lanes they move on."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from txtop.protocol import events


@dataclass
class Served:
    """What a serving cell amounts to so far. The columns stand beside those of the cell's samples:
    row i of both is the i-th request that was answered. Times in ns on the shared clock."""

    offered: events.Offered | None = None
    lanes: events.Lanes | None = None
    lanes_at_ns: int = 0
    index: array[int] = field(default_factory=lambda: array("q"))
    arrival_ns: array[int] = field(default_factory=lambda: array("q"))
    sent_ns: array[int] = field(default_factory=lambda: array("q"))
    started_ns: array[int] = field(default_factory=lambda: array("q"))
    end_ns: array[int] = field(default_factory=lambda: array("q"))
    prompt_tokens: array[int] = field(default_factory=lambda: array("q"))
    batch: array[int] = field(default_factory=lambda: array("q"))
    computed: array[int] = field(default_factory=lambda: array("q"))
    kv_most: float | None = None

    def add(self, event: events.Request) -> None:
        self.index.append(event.index)
        self.arrival_ns.append(event.arrival_ns)
        self.sent_ns.append(event.sent_ns)
        self.started_ns.append(event.start_ns)
        self.end_ns.append(event.end_ns)
        self.prompt_tokens.append(event.prompt_tokens)
        self.batch.append(event.batch)
        self.computed.append(event.computed)

    def see(self, lanes: events.Lanes, at_ns: int) -> None:
        """`at_ns` is on the session's clock."""
        self.lanes, self.lanes_at_ns = lanes, at_ns
        if lanes.kv_used is not None:
            self.kv_most = max(self.kv_most or 0.0, lanes.kv_used)
