"""An invented race: steps as the real one takes them, with costs from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

import msgspec

from support import ui_events
from support.streams import MS
from txtop.analysis.tuning import describe_reached
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.tuning import CallLimit, Tuning
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.stats.race import LeaveRace, Measure, RejoinRace, choose_step

GIB = 1 << 30
SPEED = {"fp32": 1.0, "bf16": 1.7, "int8": 1.9}
KLD = {"bf16": 0.0004, "int8": 0.03}
LIMIT = CallLimit(time="e2e", share=0.9, most_ms=2500.0)

EXPORTS = ("python", "plan")
"""The formats that need a race which named a configuration, and are refused without."""


def build_plan(limits: tuple[CallLimit, ...] = (LIMIT,)) -> Plan:
    cells = expand_matrix(
        models=["gpt2"],
        precisions=["fp32", "bf16", "int8"],
        attention=["sdpa", "eager"],
        batch_sizes=[1, 8, 16, 32],
        sequence_lengths=[128],
        new_tokens=[32],
        threads=[2],
    )
    tuning = Tuning(default=cells[0].id, limits=limits, memory_bytes=4 * GIB, budget_s=240.0)
    return Plan(cells=cells, warmup=1, profile="none", tuning=tuning)


class Race(ui_events.Story):
    """A writer of a race, which ends after `steps` steps.

    Calls of the race take `worn` times as long as those of the confirmation. In an `upset` the one
    that led the race takes a tenth longer in the confirmation, where another is near; no limits.
    Random `weights` are those of a machine without a network: one comparison tells it.
    """

    def __init__(
        self,
        steps: int = 1_000_000,
        worn: float = 1.0,
        *,
        upset: bool = False,
        weights: Literal["pretrained", "random"] = "pretrained",
    ) -> None:
        super().__init__(build_plan(() if upset else (LIMIT,)))
        self._steps, self._worn, self._upset, self._weights = steps, worn, upset, weights
        self._eager, self._led = 1.01 if upset else 1.12, ""
        self._noise = random.Random(3)
        self._counts: dict[str, int] = {}

    def events(self) -> Iterator[AnyEvent]:
        """Yield the whole race: admission, rounds, confirmation."""
        state = fold_all([ui_events.header(self.plan)])
        yield ui_events.header(self.plan)
        for event in self._conduct(state):
            fold(state, event)
            yield event
        if choose_step(state.race.race) is None if state.race else True:
            for name, own in state.cells.items():
                if own.over:
                    continue
                n = len(own.samples.kept())
                yield events.CellFinished(
                    t_ns=self.t_ns, cell=name, status="ok", stopped_by="race", n=n
                )
            yield events.SessionEnded(
                t_ns=self.t_ns, reason="done", wall_s=0.0, statistics_version=1, sha256=""
            )

    def _conduct(self, state: SessionState) -> Iterator[AnyEvent]:
        yield from self._admit()
        assert state.race is not None
        race = state.race.race
        while self._steps and (step := choose_step(race)) is not None:
            self._steps -= 1
            if isinstance(step, Measure):
                yield from self._measure(state, step)
            elif isinstance(step, RejoinRace):
                yield events.Standing(t_ns=self.t_ns, cell=step.name)
            else:
                yield self._leave(state, step)

    def _admit(self) -> Iterator[AnyEvent]:
        first, told = self.plan.cells[0].id, False
        for cell in self.plan.cells:
            if cell.batch_size == 32 and cell.precision == "fp32":
                why = "needs 4.6 GiB, 4.0 GiB asked for"
                yield from self._reject(cell, "does not fit", why)
            elif cell.precision in KLD and cell.batch_size == 1 and not told:
                told = self._weights == "random"
                # Of this output there is one comparison for each attention.
                yield events.Fidelity(
                    t_ns=self.t_ns, cell=cell.id, reference=first, weights=self._weights,
                    positions=2048, kld=KLD[cell.precision], floor=0.0,
                    top1=2040 if cell.precision == "bf16" else 1900,
                )  # fmt: skip
        for cell in self.plan.cells:
            if cell.precision == "int8" and not told:
                yield from self._reject(cell, "below the floor", "its output is ▲ visible 0.03")

    def _reject(self, cell: Cell, why: str, detail: str) -> Iterator[AnyEvent]:
        yield events.Standing(t_ns=self.t_ns, cell=cell.id, why=why, detail=detail)
        yield events.CellRejected(t_ns=self.t_ns, cell=cell.id, reason=detail)

    def _leave(self, state: SessionState, step: LeaveRace) -> events.Standing:
        detail = step.departure.detail
        if step.departure.why == "over the limit":
            detail = describe_reached(state.cells[step.name], LIMIT)
        return events.Standing(
            t_ns=self.t_ns,
            cell=step.name,
            why=step.departure.why,
            against=step.departure.against,
            detail=detail,
        )

    def _measure(self, state: SessionState, step: Measure) -> Iterator[AnyEvent]:
        if step.stage == "confirm" and self._upset:
            self._led = self._led or step.names[0]
        turns = [*step.names, *reversed(step.names)] if step.stage == "confirm" else step.names
        places: dict[str, list[int]] = {name: [] for name in step.names}
        for name in step.names:
            if name not in state.working:
                yield from self._begin(state.cells[name].cell, goes_on=name in self._counts)
        for name in turns:
            place = self._counts.get(name, 0)
            slow = self._worn if step.stage == "race" else 1.1 if name == self._led else 1.0
            yield self._call(state.cells[name].cell, place, "measured", slow)
            places[name].append(place)
        yield events.RaceBlock(
            t_ns=self.t_ns, stage=step.stage, round=step.round, order=list(step.names),
            iterations=places, kept=True,
        )  # fmt: skip

    def _begin(self, cell: Cell, *, goes_on: bool) -> Iterator[AnyEvent]:
        yield events.CellStarted(t_ns=self.t_ns, cell=cell.id, worker="w1", goes_on=goes_on)
        yield msgspec.structs.replace(self.loaded(cell), weights=self._weights)
        yield events.Workload(t_ns=self.t_ns, cell=cell.id, inputs_sha256="0", threads=2)
        yield self._call(cell, self._counts.get(cell.id, 0), "warmup")
        size = 0.9 + 0.05 * cell.batch_size * (1.0 if cell.precision == "fp32" else 0.6)
        yield events.Memory(t_ns=self.t_ns, cell=cell.id, host_bytes=round(size * GIB))

    def _call(
        self, cell: Cell, place: int, role: events.Role, slow: float = 1.0
    ) -> events.Iteration:
        """Build one call; a batch takes longer with each sequence, but not as long as alone."""
        self._counts[cell.id] = place + 1
        slow *= self._eager if cell.attention == "eager" else 1.0
        ms = 900 * slow / SPEED[cell.precision] * (1 + 0.12 * (cell.batch_size - 1))
        ms *= self._noise.gauss(1.0, 0.02)
        start, self.t_ns = self.t_ns, self.t_ns + int(ms * MS)
        return events.Iteration(
            t_ns=self.t_ns, cell=cell.id, index=place, role=role, start_ns=start,
            e2e_ns=self.t_ns - start, ttft_ns=int(0.2 * ms * MS), tokens=cell.new_tokens,
        )  # fmt: skip
