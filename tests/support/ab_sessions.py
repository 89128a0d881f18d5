"""Sessions of an A/B made of invented events: arms, the times of their turns, their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from support import streams
from support.streams import MS
from txtop import stats
from txtop.options import ab_plan
from txtop.options.ab_plan import ABOptions
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent

START_NS = 1_000 * MS


@dataclass
class Script:
    """A writer of an A/B. Each block has the time of a request of each arm, in ms, in the order A B
    B A (or A B, `paired`).
    """

    plan: Plan
    family: str = "causal"
    weights: str = "random"
    at_ns: int = START_NS
    made: list[AnyEvent] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made += [
            events.SessionHeader(
                t_ns=self.at_ns,
                schema=events.LOG_SCHEMA,
                session="ab",
                wall_s=1.7e9,
                plan=self.plan,
                workload_sha256="0" * 64,
                machine=streams.MACHINE,
                versions={"txtop": "0"},
                seed=0,
                boot_id="boot",
                margin=self.plan.margin,
            ),
            events.Segment(t_ns=self.at_ns, boot_id="boot", wall_s=1.7e9, pid=1),
        ]

    def fidelity(self, cell: str = "B", reference: str = "A", **facts: object) -> Script:
        """Add a comparison of two outputs."""
        fields: dict[str, object] = {"weights": self.weights, "positions": 2048, "kld": 0.004}
        fields |= {"kld_stderr": 0.0002, "top1": 2030, "floor": 0.0, **facts}
        self.at_ns += 10 * MS
        event = events.Fidelity(t_ns=self.at_ns, cell=cell, reference=reference, **fields)  # type: ignore[arg-type]
        self.made.append(event)
        return self

    def begin(self) -> Script:
        """Load and warm every arm."""
        for cell in self.plan.cells:
            self.made.append(events.CellStarted(t_ns=self.at_ns, cell=cell.id, worker=cell.id))
            self.at_ns += 900 * MS
            load = streams.load(self.at_ns, cell.id)
            load.family, load.weights = self.family, self.weights  # type: ignore[assignment]
            self.made.append(load)
            self.made.append(
                events.Workload(t_ns=self.at_ns, cell=cell.id, inputs_sha256="ab", threads=1)
            )
            self.request(cell.id, 40.0, "first")
            self.request(cell.id, 30.0, "warmup")
        return self

    def request(self, cell: str, ms: float, role: events.Role = "measured") -> int:
        """Add one request of `cell` and return its place."""
        place = self.counts.get(cell, 0)
        self.counts[cell] = place + 1
        tokens = 0 if self.family == "encoder" else 4
        gaps = [round(ms * MS * share) for share in (0.4, 0.2, 0.2, 0.2)] if tokens else []
        e2e = sum(gaps) if tokens else round(ms * MS)
        start, self.at_ns = self.at_ns, self.at_ns + e2e
        if tokens:
            self.made.append(
                events.TokenTimings(t_ns=self.at_ns, cell=cell, index=place, first=0, gaps_ns=gaps)
            )
        self.made.append(
            events.Iteration(
                t_ns=self.at_ns,
                cell=cell,
                index=place,
                role=role,
                start_ns=start,
                e2e_ns=e2e,
                ttft_ns=gaps[0] if tokens else None,
                tokens=tokens,
            )
        )
        return place

    def block(
        self,
        times_ms: Sequence[float | None],
        *,
        kept: bool = True,
        reasons: Sequence[str] = (),
        paired: bool = False,
        reloaded: bool = False,
        ends_start: bool = False,
        contention: Sequence[events.Contention] = (),
    ) -> Script:
        """Add a block in which a request of each arm takes its given time, wherever its turn is.

        An arm with None takes no part.
        """
        ids = [cell.id for cell in self.plan.cells]
        ms = {name: time for name, time in zip(ids, times_ms, strict=True) if time is not None}
        order = list(ms)
        places: dict[str, list[int]] = {name: [] for name in order}
        for name in order if paired else [*order, *reversed(order)]:
            places[name].append(self.request(name, ms[name]))
        self.made.append(
            events.ABBlock(
                t_ns=self.at_ns,
                order=order,
                iterations=places,
                kept=kept,
                paired=paired,
                reloaded=reloaded,
                ends_start=ends_start,
                reasons=list(reasons),
                contention=list(contention),
            )
        )
        return self

    def blocks(self, count: int, ratio: float, wobble: float = 0.01, **facts: object) -> Script:
        """Add `count` blocks of two arms, B as fast as A times `ratio`, give or take `wobble`."""
        for i in range(count):
            off = 1 + wobble * ((i * 7919) % 11 - 5) / 5
            self.block((30.0, 30.0 / (ratio * off)), **facts)  # type: ignore[arg-type]
        return self

    def start(self, blocks: int, ratio: float) -> Script:
        """Add one of several starts of two arms, with `blocks` that differ by next to nothing."""
        self.blocks(blocks - 1, ratio, 0.002)
        return self.block((30.0, 30.0 / ratio), ends_start=True)

    def end(self, status: events.CellStatus = "ok", reason: str = "done") -> list[AnyEvent]:
        """End the arms and the session."""
        for cell in self.plan.cells:
            self.made.append(events.Memory(t_ns=self.at_ns, cell=cell.id, host_bytes=1 << 30))
            self.made.append(
                events.CellFinished(
                    t_ns=self.at_ns, cell=cell.id, status=status, stopped_by="decided"
                )
            )
        self.made.append(
            events.SessionEnded(
                t_ns=self.at_ns,
                reason=reason,  # type: ignore[arg-type]
                wall_s=1.7e9,
                statistics_version=stats.STATISTICS_VERSION,
                sha256="0" * 64,
            )
        )
        return self.made


def script(
    *knobs: dict[str, object],
    model: str = "gpt2",
    starts: int = 1,
    blocks: int | None = None,
    **facts: object,
) -> Script:
    """Return an A/B of fp32 and bf16, or of these arms."""
    chosen = knobs or ({"precision": "fp32"}, {"precision": "bf16"})
    rules = ABOptions(starts=starts, blocks=blocks)
    plan = ab_plan.build_ab_plan(model, chosen, {"new_tokens": 4, "sequence_length": 8}, rules)
    return Script(plan, **facts)  # type: ignore[arg-type]
