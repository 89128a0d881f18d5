"""The state of one cell: its samples as columns, and the events reported about it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from txtop.models.builtin import Family
from txtop.plan.cell import Cell
from txtop.plan.tuning import LimitedTime
from txtop.protocol import events


@dataclass
class ServedRequests:
    """The requests and the server of a serving cell.

    The columns run beside those of `Samples`: row i of both is the i-th request that was answered.
    Times are in ns on the clock that runner and worker share. `kv_most` is the largest `kv_used`.
    """

    offered: events.OfferedLoad | None = None
    status: events.ServerStatus | None = None
    status_at_ns: int = 0
    index: array[int] = field(default_factory=lambda: array("q"))
    arrival_ns: array[int] = field(default_factory=lambda: array("q"))
    sent_ns: array[int] = field(default_factory=lambda: array("q"))
    started_ns: array[int] = field(default_factory=lambda: array("q"))
    end_ns: array[int] = field(default_factory=lambda: array("q"))
    prompt_tokens: array[int] = field(default_factory=lambda: array("q"))
    batch: array[int] = field(default_factory=lambda: array("q"))
    computed: array[int] = field(default_factory=lambda: array("q"))
    cached: array[int] = field(default_factory=lambda: array("q"))
    kv_most: float | None = None

    def add(self, event: events.Request) -> None:
        """Append an answered request."""
        self.index.append(event.index)
        self.arrival_ns.append(event.arrival_ns)
        self.sent_ns.append(event.sent_ns)
        self.started_ns.append(event.start_ns)
        self.end_ns.append(event.end_ns)
        self.prompt_tokens.append(event.prompt_tokens)
        self.batch.append(event.batch)
        self.computed.append(event.computed)
        self.cached.append(event.cached)

    def update_status(self, status: events.ServerStatus, at_ns: int) -> None:
        """Store the server's latest status; `at_ns` is on the session's clock."""
        self.status, self.status_at_ns = status, at_ns
        # Zero is a server between requests: it does not tell what they took.
        if status.kv_used:
            self.kv_most = max(self.kv_most or 0.0, status.kv_used)


CellStage = Literal["waiting", "loading", "first", "warming", "measuring", "finished", "rejected"]
# The statuses of a cell that did not run as asked; a skipped or cancelled one did not fail.
FAILED_STATUSES: frozenset[str] = frozenset({"oom", "failed", "timeout", "rejected"})
# None in the columns, which hold integers only.
UNSET_NS = -1


@dataclass
class Samples:
    """Every iteration (or answered request) of one cell, in columns that are only ever appended to.

    Times are in ns: `start_ns` on the worker's clock, `at_ns`, the end, on the session's. `gaps_ns`
    holds the steps of all complete iterations, one after the other (a step is a token, or several
    in speculative decoding): those of iteration i are
    `gaps_ns[gaps_from[i]:gaps_from[i + 1]]`, the first being its TTFT. `discarded` are iterations
    of blocks that do not count. Those before `since` were measured for another purpose, and the
    figures are of what came after. `prompt_tokens` are those of a whole batch, -1 where all batches
    are alike. `cut` is another number of warm-up iterations than was measured. `start_ends` are the
    lengths at which each of several starts was complete; None where there is one alone.
    """

    role: list[events.Role] = field(default_factory=list)
    start_ns: array[int] = field(default_factory=lambda: array("q"))
    at_ns: array[int] = field(default_factory=lambda: array("q"))
    e2e_ns: array[int] = field(default_factory=lambda: array("q"))
    ttft_ns: array[int] = field(default_factory=lambda: array("q"))
    encoder_ns: array[int] = field(default_factory=lambda: array("q"))
    tokens: array[int] = field(default_factory=lambda: array("q"))
    prompt_tokens: array[int] = field(default_factory=lambda: array("q"))
    gaps_ns: array[int] = field(default_factory=lambda: array("q"))
    gaps_from: array[int] = field(default_factory=lambda: array("q", [0]))
    discarded: set[int] = field(default_factory=set)
    since: int = 0
    cut: int | None = None
    start_ends: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.role)

    def kept(self) -> list[int]:
        """Return the indices of the measured iterations since `since`, without discarded ones.

        With a `cut` they are all after the first iteration and `cut` more, whatever their role.
        """
        out = self.discarded
        if self.cut is not None:
            return [i for i in range(1 + self.cut, len(self.role)) if i not in out]
        own = range(self.since, len(self.role))
        return [i for i in own if self.role[i] == "measured" and i not in out]

    def list_starts(self) -> list[list[int]]:
        """Return the indices of `kept` in each start that is complete."""
        kept = self.kept()
        return [
            [i for i in kept if first <= i < end]
            for first, end in pairwise([0, *(self.start_ends or ())])
        ]

    def gaps(self, i: int) -> array[int]:
        """Return the durations of the steps of iteration i, TTFT first; empty for an encoder."""
        return self.gaps_ns[self.gaps_from[i] : self.gaps_from[i + 1]]


@dataclass
class CellState:
    """The state of one cell.

    `place` is where it was measured, empty in a plan without places. `in_turns` says that its
    blocks took turns with those of others, beside which they are judged. `phase_starts` are the
    phases of its worker with their times. `open_gaps_ns` are the steps so far of iteration
    `open_index`, which is not complete; -1 if there is none. `lag` and `invalid` sum up those of
    the iterations, and so do `drafted` and `accepted` of those in which drafts were counted.
    `cache_bytes` is what the KV cache took in the newest of these. The `*_at_ns` and
    `measured_*_ns` times are on the session's clock, 0 until known.
    """

    cell: Cell
    stage: CellStage = "waiting"
    worker: str = ""
    place: str = ""
    in_turns: bool = False
    shares_weights: bool = False
    phase: str = ""
    phase_starts: list[tuple[str, int]] = field(default_factory=list)
    load: events.ModelLoaded | None = None
    workload: events.Workload | None = None
    kernels: events.Kernels | None = None
    speculation: events.Speculation | None = None
    memory: events.Memory | None = None
    progress: events.Progress | None = None
    finished: events.CellFinished | None = None
    rejected: events.CellRejected | None = None
    samples: Samples = field(default_factory=Samples)
    blocks: list[events.DisturbedBlock] = field(default_factory=list)
    served: ServedRequests = field(default_factory=ServedRequests)
    open_gaps_ns: array[int] = field(default_factory=lambda: array("q"))
    open_index: int = -1
    lag: bool = False
    invalid: int = 0
    cache_bytes: int | None = None
    drafted: int = 0
    accepted: int = 0
    started_at_ns: int = 0
    ended_at_ns: int = 0
    measured_from_ns: int = 0
    measured_to_ns: int = 0

    def read_time_ns(self, time: LimitedTime, i: int) -> float | None:
        """Return a time of iteration i in ns, None if it has none: no TPOT comes of one step."""
        samples = self.samples
        e2e_ns, ttft_ns, tokens = samples.e2e_ns[i], samples.ttft_ns[i], samples.tokens[i]
        if time == "e2e":
            return e2e_ns
        if ttft_ns < 0 or self.lag:
            return None
        if time == "ttft":
            return ttft_ns
        return None if tokens < 2 or e2e_ns <= ttft_ns else (e2e_ns - ttft_ns) / (tokens - 1)

    def count_work(self, i: int) -> int:
        """Return the tokens that iteration i made; of an encoder, its sequences."""
        return self.cell.batch_size * (self.samples.tokens[i] or 1)

    @property
    def status(self) -> str:
        """One of ok, oom, failed, timeout, skipped, cancelled; until then the stage."""
        if self.finished:
            return self.finished.status
        return self.stage

    @property
    def reason(self) -> str:
        """The reason for which the cell failed or was refused; empty if it did not."""
        ending = self.finished or self.rejected
        return ending.reason if ending else ""

    @property
    def hint(self) -> str:
        """The next step after a failure or a refusal; empty if there is none."""
        ending = self.finished or self.rejected
        return ending.hint if ending else ""

    @property
    def peak_bytes(self) -> int | None:
        """The peak of the device; without one what was reserved there, else the host's peak."""
        if self.memory is None:
            return None
        memory = self.memory
        return memory.device_bytes or memory.reserved_bytes or memory.host_bytes or None

    @property
    def counted_blocks(self) -> list[events.DisturbedBlock]:
        """The disturbed blocks whose iterations count."""
        return [block for block in self.blocks if block.kept and block.first >= self.samples.since]

    @property
    def counted(self) -> tuple[int, ...]:
        """Numbers that change with the iterations that count: a key for figures made of them."""
        samples = self.samples
        starts = len(samples.start_ends or ())
        return len(samples.discarded), samples.since, len(self.blocks), self.in_turns, starts

    @property
    def over(self) -> bool:
        """True if nothing changes this cell any more."""
        return self.stage in ("finished", "rejected")

    @property
    def saturated(self) -> bool:
        """True if requests came faster than they were answered: latencies grew without bound."""
        return self.finished is not None and self.finished.stopped_by == "saturated"

    @property
    def attention(self) -> str:
        """The attention that is measured: eager where a model has none of the default."""
        fell_back = self.load is not None and self.load.attention == "eager"
        return "eager" if fell_back and self.cell.attention == "sdpa" else self.cell.attention

    @property
    def family(self) -> Family | None:
        return self.load.family if self.load else None
