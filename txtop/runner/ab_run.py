"""Conducts an A/B: arms take turns until every comparison is decided or the budget is spent.

A block is a palindrome (A B B A), whose order is drawn anew each time. Every arm has a worker of
its own that stays loaded; where they do not fit beside each other each turn is a load of its own.
Where requests are so long that ten such blocks exceed the budget, a block is a pair (A B or B A).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from txtop.forecast import memory_fit
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.batch_cell import MAX_REPEATS, CellSchedule
from txtop.runner.block_validity import MachineReadings, find_disturbances
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.ab import ABTest
from txtop.state.cell import CellState
from txtop.stats.sequential import FIRST_LOOK
from txtop.units import NS_PER_S

TURN_NS = 100_000_000
RELOADED_TURN_NS = 3_000_000_000
MIN_RELOADED_REQUESTS = 3
MIN_RELOADED_BLOCKS = 5
MAX_DEATHS = 3
GRACE_S = 1.0


@dataclass
class ArmRun:
    """One side of an A/B: its worker while it is loaded, and its iterations of the open block."""

    cell: Cell
    worker: ChildProcess | None = None
    schedule: CellSchedule | None = None
    deaths: int = 0
    since_ns: int = 0
    open: list[int] = field(default_factory=list)


class _DoNotFit(Exception):
    """The arms cannot be in memory together."""


class _TurnLost(Exception):
    """A turn came to nothing; what comes of its arm is settled."""


class ABRun:
    """One A/B of a plan with a margin."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._plan = client.plan
        self._recorder, self._control = client.recorder, client.control
        self._arms: list[ArmRun] = []
        self._reloads = False
        self._repeats = 0
        self._requests = 1
        self._pairs = False

    def run(self) -> None:
        """Everything from the first load to the last verdict."""
        self._control.skip = False
        try:
            self._admit()
            if len(self._arms) > 1:
                self._compare()
            self._skip_remaining_arms()
        except CellEnded as over:
            self._discard_block(over.stopped_by)
            self._end_early(over)
        finally:
            for arm in self._arms:
                self._end_worker(arm)

    @property
    def _ab(self) -> ABTest:
        found = self._recorder.state.versus
        assert found is not None
        return found

    def _get_state(self, arm: ArmRun) -> CellState:
        return self._recorder.state.cells[arm.cell.id]

    # Who takes part

    def _admit(self) -> None:
        """Refuses what cannot be measured."""
        for cell in self._plan.cells:
            why = self._ab.out.get(cell.id)
            if not self._client.refuse(cell) and why:
                self._client.reject(cell, f"the output {why}", "another precision")
        self._arms = [ArmRun(cell) for cell in self._ab.left_in]

    def _compare(self) -> None:
        try:
            self._load_all()
            self._run_blocks()
        except _DoNotFit as reason:
            self._recorder.warn(f"{reason}: each turn is a load of its own")
            for arm in self._arms:
                self._end_worker(arm)
            self._reloads = True
            self._arms = [ArmRun(arm.cell) for arm in self._arms]
            self._load_all()
            self._run_blocks()
        stopped_by = self._find_stop_reason() or ""
        for arm in self._arms:
            self._finish_arm(arm, stopped_by)

    # Loading

    def _load_all(self) -> None:
        """Loads every arm and warms it up; one that fails is compared no more."""
        for arm in self._arms:
            if not self._reloads and arm is not self._arms[0]:
                self._check_room(arm)
            self._record_start(arm, goes_on=False)
            self._load_and_warm(arm)
            if self._reloads:
                self._end_worker(arm)
        self._reject_mixed_families()
        self._finish_left_out_arms()
        self._plan_turns([self._get_state(arm).samples.e2e_ns[-1] for arm in self._arms])

    def _plan_turns(self, requests_ns: list[int]) -> None:
        """How many requests a turn has, as many in each arm, and whether a block is a pair."""
        if not requests_ns:
            return
        turn_ns, least = (
            (RELOADED_TURN_NS, MIN_RELOADED_REQUESTS) if self._reloads else (TURN_NS, 1)
        )
        self._requests = max(least, math.ceil(turn_ns / min(requests_ns)))
        ten_blocks_s = 2 * FIRST_LOOK * self._requests * sum(requests_ns) / NS_PER_S
        fixed = self._plan.iterations is not None
        self._pairs = not self._reloads and not fixed and ten_blocks_s > self._plan.budget_s

    def _reject_mixed_families(self) -> None:
        """Arms that make tokens and arms that do not have no speed in common."""
        first, *others = self._arms
        for arm in others:
            families = self._get_state(first).family, self._get_state(arm).family
            if None not in families and (families[0] == "encoder") != (families[1] == "encoder"):
                reason = f"an {families[1]} model cannot be compared with {families[0]}"
                self._client.finish(arm.cell, "failed", reason=reason)

    def _check_room(self, arm: ArmRun) -> None:
        """Raises `_DoNotFit` where it is known that `arm` has no place beside the others."""
        short = memory_fit.find_memory_shortage(self._recorder.state, self._arms[0].cell, arm.cell)
        if short is not None:
            wants, free = (f"{size / 2**30:.1f} GiB" for size in short)
            raise _DoNotFit(
                f"{labels.format_short_label(arm.cell)} needs {wants} beside the others,"
                f" {free} are free"
            )

    def _record_start(self, arm: ArmRun, *, goes_on: bool) -> None:
        arm.worker = self._client.start_worker()
        self._recorder.record(
            events.CellStarted(
                t_ns=now_ns(), cell=arm.cell.id, worker=arm.worker.name, goes_on=goes_on
            )
        )

    def _load_and_warm(self, arm: ArmRun) -> None:
        """Loads and warms the worker that was started for `arm`. A worker that dies, or an arm
        that cannot be loaded, is dealt with by `_handle_loss`."""
        worker = arm.worker
        assert worker is not None
        share_s = self._plan.budget_s / len(self._plan.cells)
        state = self._get_state(arm)
        arm.schedule = CellSchedule(
            self._plan, self._recorder.state, state, share_s, len(state.samples)
        )
        self._client.start_deadline(self._plan.timeout_s)
        try:
            self._client.load(worker, arm.cell)
            prepare = commands.Prepare(cell=arm.cell)
            self._client.ask(worker, prepare, arm.cell, events.Workload)
            while (block := arm.schedule.next_warmup()) is not None:
                self._client.wait_while_paused(worker)
                self._client.iterate(worker, arm.cell, *block)
        except (WorkerDied, CellEnded) as error:
            self._handle_loss(arm, error)
        arm.since_ns = arm.since_ns or self._recorder.state.clock_ns
        self._client.start_deadline(None)

    def _handle_loss(self, arm: ArmRun, error: WorkerDied | CellEnded) -> None:
        """What comes of a worker that is of no more use: a fresh one for `arm`, or its end.

        Raises `CellEnded` where somebody ends the whole A/B, `_DoNotFit` where memory is short.
        """
        if self._control.stops or self._control.skip:
            self._client.raise_if_ended()
        state, worker, schedule = self._get_state(arm), arm.worker, arm.schedule
        assert worker is not None and schedule is not None
        if isinstance(error, WorkerDied) and not state.over:
            arm.deaths += 1
            _, why, starved = worker_failure.diagnose_death(worker)
            self._discard_block(f"{self._ab.letter(arm.cell.id)}: {why}")
            if not starved and arm.deaths < MAX_DEATHS:
                arm.worker = None
                self._record_start(arm, goes_on=True)
                self._load_and_warm(arm)
                return
            self._recorder.record(worker_failure.build_death_event(worker, state, schedule))
        elif isinstance(error, CellEnded) and error.status == "timeout":
            self._recorder.record(
                worker_failure.end_silent_worker(worker, state, schedule, error.reason)
            )
        self._discard_block(f"{self._ab.letter(arm.cell.id)} {state.status}")
        self._end_worker(arm)
        if state.status == "oom" and not self._reloads and self._are_others_loaded(arm):
            raise _DoNotFit(
                f"{labels.format_short_label(arm.cell)} is out of memory beside the others"
            )

    def _are_others_loaded(self, arm: ArmRun) -> bool:
        return any(other.worker is not None for other in self._arms if other is not arm)

    def _finish_left_out_arms(self) -> None:
        """Leaves out what is compared no more, and closes those that have nobody to be compared
        with."""
        left = {cell.id for cell in self._ab.left_in}
        for arm in self._arms:
            if arm.cell.id not in left:
                self._finish_arm(arm)
        self._arms = [arm for arm in self._arms if arm.cell.id in left]

    def _end_worker(self, arm: ArmRun) -> None:
        if arm.worker is not None:
            arm.worker.end(GRACE_S if self._control.stops < 2 else 0.1)
        arm.worker = None

    # Blocks

    def _run_blocks(self) -> None:
        random = Random(self._plan.seed)
        while len(self._arms) > 1 and self._find_stop_reason() is None:
            order = list(self._arms)
            random.shuffle(order)
            self._run_block(order)
            self._finish_left_out_arms()

    def _find_stop_reason(self) -> str | None:
        """Why there is no further block; null to go on."""
        blocks = self._ab.blocks
        if self._plan.iterations is not None:
            return "iterations" if blocks >= self._plan.iterations else None
        if self._ab.decided:
            return "decided"
        if self._reloads and blocks < MIN_RELOADED_BLOCKS:
            return None
        return "budget" if self._sum_measured_s() >= self._plan.budget_s else None

    def _sum_measured_s(self) -> float:
        spent_ns = 0
        for state in self._recorder.state.cells.values():
            samples = state.samples
            spent_ns += sum(
                ns
                for ns, role in zip(samples.e2e_ns, samples.role, strict=True)
                if role == "measured"
            )
        return spent_ns / NS_PER_S

    def _run_block(self, order: list[ArmRun]) -> None:
        from_ns = self._recorder.state.clock_ns
        paused = False
        for arm in order if self._pairs else [*order, *reversed(order)]:
            try:
                paused = self._run_turn(arm) or paused
            except _TurnLost:
                return self._discard_block("an arm was lost")
            except (WorkerDied, CellEnded) as error:
                return self._handle_loss(arm, error)
        why = ["paused"] if paused else []
        for arm in order:
            why += self._find_disturbances(arm, from_ns)
        kept = not why or (not paused and self._repeats >= MAX_REPEATS)
        self._repeats += not kept and not paused
        self._record_block(order, kept, list(dict.fromkeys(why)))

    def _run_turn(self, arm: ArmRun) -> bool:
        """The requests of one turn. Returns whether the run was paused before it.

        Raises `WorkerDied` or `CellEnded` where `arm` fails, `_TurnLost` where it had to be loaded
        and was not.
        """
        if arm.worker is None:
            for other in self._arms:
                self._end_worker(other)
            self._record_start(arm, goes_on=True)
            self._load_and_warm(arm)
        if arm.worker is None:
            raise _TurnLost
        paused = self._client.wait_while_paused(arm.worker)
        samples = self._get_state(arm).samples
        begun = len(samples)
        try:
            self._client.iterate(arm.worker, arm.cell, "measured", self._requests)
        finally:
            arm.open += range(begun, len(samples))
        return paused

    def _find_disturbances(self, arm: ArmRun, from_ns: int) -> list[str]:
        """Why the machine was not itself in the block that ends now."""
        session = self._recorder.state
        load = self._get_state(arm).load
        readings = MachineReadings.from_session(session, load.device_id if load else None)
        return find_disturbances(readings, arm.since_ns, from_ns, session.clock_ns)

    def _discard_block(self, why: str) -> None:
        """The open block counts for nothing."""
        if any(arm.open for arm in self._arms):
            self._record_block(self._arms, False, [why])

    def _record_block(self, order: list[ArmRun], kept: bool, reasons: list[str]) -> None:
        self._recorder.record(
            events.ABBlock(
                t_ns=now_ns(),
                order=[arm.cell.id for arm in order],
                iterations={arm.cell.id: arm.open for arm in order if arm.open},
                kept=kept,
                paired=self._pairs,
                reloaded=self._reloads,
                reasons=reasons,
            )
        )
        for arm in self._arms:
            arm.open = []

    # The end

    def _finish_arm(self, arm: ArmRun, stopped_by: str = "") -> None:
        """An arm that is through, or that has nobody to be compared with."""
        if self._get_state(arm).over:
            return
        if arm.worker is not None and not arm.worker.gone:
            try:
                finish = commands.Finish(cell=arm.cell.id)
                self._client.ask(arm.worker, finish, arm.cell, events.Memory)
            except (WorkerDied, CellEnded):
                self._end_worker(arm)
        self._record_finish(arm, "ok", stopped_by)

    def _end_early(self, over: CellEnded) -> None:
        """Somebody ends the A/B: what is known stays; `skip` is an end in order."""
        self._control.skip = False
        for cell in self._plan.cells:
            arm = next((a for a in self._arms if a.cell == cell), ArmRun(cell))
            if over.stopped_by == "skip" and self._ab.blocks:
                self._finish_arm(arm, over.stopped_by)
            elif not self._get_state(arm).over:
                self._record_finish(arm, over.status, over.stopped_by)

    def _skip_remaining_arms(self) -> None:
        """Arms that were never begun, since there is nobody to compare them with."""
        for cell in self._plan.cells:
            if not self._recorder.state.cells[cell.id].over:
                self._client.finish(cell, "skipped", reason="no arm is left to compare it with")

    def _record_finish(self, arm: ArmRun, status: events.CellStatus, stopped_by: str) -> None:
        n = len(self._get_state(arm).samples.kept())
        self._client.finish(arm.cell, status, stopped_by=stopped_by, n=n)
