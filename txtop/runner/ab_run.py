"""Conduct an A/B: arms take turns until every comparison is decided or the time limit is reached.

A block is a palindrome (A B B A), which cancels a linear drift of the machine; its order is drawn
at random for each block. Every arm has a worker of its own that stays loaded; if the arms do not
fit in memory beside each other, or the GPU admits one process alone, each turn loads its arm
again. If requests are so long that ten such blocks exceed the budget, a block is a pair (A B or
B A). With several starts all arms get fresh workers after each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from txtop.forecast import memory_fit
from txtop.formatting import format_gibs
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.block_validity import Repeats, find_block_disturbances
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.ab import ABTest
from txtop.state.cell import CellState
from txtop.state.pending_work import lacks_result
from txtop.state.race import PAUSED
from txtop.stats.sequential import BLOCKS_OF_START, FIRST_LOOK
from txtop.units import NS_PER_S

TURN_NS = 100_000_000
# A turn that loads its arm first is longer, so that more time is measured than loaded.
RELOADED_TURN_NS = 3_000_000_000
MIN_RELOADED_REQUESTS = 3
MIN_RELOADED_BLOCKS = 5
MAX_DEATHS = 3
GRACE_S = 1.0


@dataclass
class ArmRun:
    """One side of an A/B.

    `worker` is None while the arm is not loaded. `since_ns` is the session time at
    which it was first warm; `open` holds the indices of its iterations in the open block.
    """

    cell: Cell
    worker: ChildProcess | None = None
    schedule: CellSchedule | None = None
    deaths: int = 0
    since_ns: int = 0
    open: list[int] = field(default_factory=list)


class _DoNotFit(Exception):
    """The arms do not fit in memory together, or the GPU admits one process alone."""


class _TurnLost(Exception):
    """A turn measured nothing because its arm could not be loaded, which is already recorded."""


class ABRun:
    """Run the A/B of a plan with a margin."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._plan = client.plan
        self._recorder, self._control = client.recorder, client.control
        self._arms: list[ArmRun] = []
        self._reloads = False
        planned = self._plan.iterations
        self._repeats = Repeats(self._plan.budget_s, planned and planned * self._plan.starts)
        self._requests = 1
        self._pairs = False
        self._start_budget_s = self._plan.budget_s / self._plan.starts
        self._start_from_s = 0.0
        self._is_start_over = False

    def refuse(self) -> None:
        """Reject arms that cannot be measured, before the output of any is compared."""
        left = [cell for cell in self._plan.cells if not self._client.refuse(cell)]
        self._client.refuse_absent(left)

    def run(self) -> None:
        """Load the arms, measure blocks until the A/B is decided, and record how it ended."""
        self._client.drop_late_skip()
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
        ab = self._recorder.state.ab_test
        assert ab is not None
        return ab

    def _get_state(self, arm: ArmRun) -> CellState:
        return self._recorder.state.cells[arm.cell.id]

    # Arms that take part

    def _admit(self) -> None:
        """Reject arms whose output is too different. One that failed in an earlier run may come."""
        for cell in self._plan.cells:
            why = self._ab.out.get(cell.id)
            if why and not self._recorder.state.cells[cell.id].over:
                self._client.reject(cell, f"the output {why}", "another precision")
        self._arms = [ArmRun(cell) for cell in self._plan.cells if self._may_be_measured(cell)]
        if not self._may_be_measured(self._ab.first):
            self._arms = []

    def _may_be_measured(self, cell: Cell) -> bool:
        if cell.id not in self._ab.out:
            return True
        state = self._recorder.state.cells[cell.id]
        return lacks_result(state) and not state.invalid and cell.id not in self._client.refused

    def _compare(self) -> None:
        self._reloads = self._plan.starts > 1 and self._ab.reloaded
        try:
            # Of starts nothing may be left to measure in a run that goes on.
            if self._plan.starts == 1 or self._find_stop_reason() is None:
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
        self._client.drop_late_skip()
        stopped_by = self._find_stop_reason() or ""
        for arm in self._arms:
            self._finish_arm(arm, stopped_by)

    # Loading

    def _load_all(self) -> None:
        """Load and warm up every arm, and leave out those that fail."""
        # A run that was cut off goes on with the starts that it has, loaded as they were.
        has_starts = self._plan.starts > 1 and bool(self._ab.blocks)
        goes_on = has_starts and self._reloads == self._ab.reloaded
        arms = self._list_in_load_order() if goes_on else self._arms
        for arm in arms:
            if not self._reloads and arm is not arms[0]:
                self._check_room(arm, beside=arms[0])
            self._record_start(arm, goes_on=goes_on)
            self._load_and_warm(arm)
            if self._reloads:
                self._end_worker(arm)
        self._reject_mixed_families()
        self._finish_left_out_arms()
        self._plan_turns([self._get_state(arm).samples.e2e_ns[-1] for arm in self._arms])
        self._begin_start()

    def _begin_start(self) -> None:
        self._is_start_over = False
        self._repeats.dealt = min(1.0, (len(self._ab.units) + 1) / self._plan.starts)
        self._start_from_s = self._recorder.state.sum_measured_s()

    def _load_afresh(self) -> None:
        """Replace all workers by fresh ones."""
        for arm in self._arms:
            self._end_worker(arm)
        for arm in self._list_in_load_order():
            # Where each turn is a load of its own, the next one is.
            if not self._reloads:
                self._record_start(arm, goes_on=True)
                self._load_and_warm(arm)
        self._finish_left_out_arms()
        self._begin_start()

    def _list_in_load_order(self) -> list[ArmRun]:
        """Return the arms, those first that were loaded last in the start before.

        The first may get the better pages: in one order that would be a difference between arms.
        """
        return self._arms[::-1] if len(self._ab.units) % 2 else self._arms

    def _plan_turns(self, requests_ns: list[int]) -> None:
        """Set how many requests a turn of any arm has, and whether a block is a pair.

        `requests_ns` holds the duration of one request of each arm.
        """
        if not requests_ns:
            return
        turn_ns, least = (
            (RELOADED_TURN_NS, MIN_RELOADED_REQUESTS) if self._reloads else (TURN_NS, 1)
        )
        self._requests = max(least, math.ceil(turn_ns / min(requests_ns)))
        ten_blocks_s = 2 * FIRST_LOOK * self._requests * sum(requests_ns) / NS_PER_S
        fixed = self._plan.iterations is not None
        self._pairs = not self._reloads and not fixed and ten_blocks_s > self._start_budget_s

    def _reject_mixed_families(self) -> None:
        """Fail encoder arms beside generating ones: they have no metric in common."""
        first, *others = self._arms
        for arm in others:
            families = self._get_state(first).family, self._get_state(arm).family
            if None not in families and (families[0] == "encoder") != (families[1] == "encoder"):
                reason = f"an {families[1]} model cannot be compared with {families[0]}"
                self._client.finish(arm.cell, "failed", reason=reason)

    def _check_room(self, arm: ArmRun, beside: ArmRun) -> None:
        """Compare the memory that `arm` needs with what is free beside the others, one of them.

        Raises:
            _DoNotFit: the arm is known to need more than is free.
        """
        shortage = memory_fit.find_memory_shortage(self._recorder.state, beside.cell, arm.cell)
        if shortage is not None:
            needed, free = (f"{size} GiB" for size in format_gibs(*shortage))
            raise _DoNotFit(
                f"{labels.format_short_label(arm.cell)} needs {needed} beside the others,"
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
        """Load `arm` into the worker that was started for it, and warm it up.

        A worker that dies and an arm that cannot be loaded go to `_handle_loss`.
        """
        worker = arm.worker
        assert worker is not None
        share_s = self._start_budget_s / len(self._plan.cells)
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
        """Replace a worker that can no longer be used, or end `arm` if that does not help.

        Raises:
            CellEnded: a stop or a skip ends the whole A/B.
            _DoNotFit: the arm is out of memory beside the others, or finds the GPU busy.
        """
        if self._control.stops or self._control.skip:
            self._client.raise_if_ended()
        state, worker, schedule = self._get_state(arm), arm.worker, arm.schedule
        assert worker is not None and schedule is not None
        if isinstance(error, WorkerDied) and not state.over:
            arm.deaths += 1
            _, reason, out_of_memory = worker_failure.diagnose_death(worker)
            self._discard_block(f"{self._ab.letter(arm.cell.id)}: {reason}")
            if not out_of_memory and arm.deaths < MAX_DEATHS:
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
        obstacle = ""
        if state.status == "oom":
            obstacle = "is out of memory beside the others"
        elif state.finished is not None and state.finished.busy:
            obstacle = "finds the GPU busy: it may admit one process alone"
        if obstacle and not self._reloads and self._are_others_loaded(arm):
            raise _DoNotFit(f"{labels.format_short_label(arm.cell)} {obstacle}")

    def _are_others_loaded(self, arm: ArmRun) -> bool:
        return any(other.worker is not None for other in self._arms if other is not arm)

    def _finish_left_out_arms(self) -> None:
        """Finish and forget the arms that no comparison needs any more."""
        needed = {cell.id for cell in self._ab.left_in}
        for arm in self._arms:
            if arm.cell.id not in needed:
                self._finish_arm(arm)
        self._arms = [arm for arm in self._arms if arm.cell.id in needed]

    def _end_worker(self, arm: ArmRun) -> None:
        if arm.worker is not None:
            arm.worker.end(GRACE_S if self._control.stops < 2 else 0.1)
        arm.worker = None

    # Blocks

    def _run_blocks(self) -> None:
        random = Random(self._plan.seed)
        while len(self._arms) > 1 and self._find_stop_reason() is None:
            if self._is_start_over:
                self._load_afresh()
                continue
            order = list(self._arms)
            random.shuffle(order)
            self._run_block(order)
            self._finish_left_out_arms()

    def _find_stop_reason(self) -> str | None:
        """Return why no further block is measured, None to continue."""
        # An arm that came later than others has fewer starts than they.
        compared = [self._ab.sequences[arm.cell.id] for arm in self._arms[1:]]
        if self._plan.iterations is None and all(s.verdict is not None for s in compared):
            return "decided"
        planned = self._plan.starts if self._plan.starts > 1 else self._plan.iterations
        if planned is not None:
            return "iterations" if all(s.n >= planned for s in compared) else None
        if self._reloads and self._ab.kept_blocks < MIN_RELOADED_BLOCKS:
            return None
        return "budget" if self._recorder.state.sum_measured_s() >= self._plan.budget_s else None

    def _run_block(self, order: list[ArmRun]) -> None:
        from_ns = pauses = 0
        for arm in order if self._pairs else [*order, *reversed(order)]:
            try:
                worker = self._prepare_turn(arm)
                if not from_ns:
                    from_ns, pauses = self._recorder.state.clock_ns, self._client.pauses
                self._run_turn(arm, worker)
            except _TurnLost:
                return self._discard_block("an arm was lost")
            except (WorkerDied, CellEnded) as error:
                return self._handle_loss(arm, error)
        session = self._recorder.state
        since_ns = {arm.cell.id: arm.since_ns for arm in order}
        disturbed_by = find_block_disturbances(session, since_ns, from_ns)
        reasons, taken = disturbed_by.reasons, disturbed_by.contention
        if self._client.pauses > pauses:
            return self._record_block(order, False, [PAUSED, *reasons], taken)
        kept = not reasons or not self._repeats.allow(
            busy=bool(taken), duration_ns=session.clock_ns - from_ns
        )
        self._record_block(order, kept, reasons, taken)

    def _prepare_turn(self, arm: ArmRun) -> ChildProcess:
        """Return the worker of `arm`, loaded if need be, once the run is not paused.

        Raises:
            CellEnded: the arm failed, or a stop or a skip ends the A/B.
            _TurnLost: the arm had to be loaded and could not.
        """
        if arm.worker is None:
            for other in self._arms:
                self._end_worker(other)
            self._record_start(arm, goes_on=True)
            self._load_and_warm(arm)
        if arm.worker is None:
            raise _TurnLost
        self._client.wait_while_paused(arm.worker)
        return arm.worker

    def _run_turn(self, arm: ArmRun, worker: ChildProcess) -> None:
        """Measure the requests of one turn.

        Raises:
            WorkerDied: the arm's worker died.
            CellEnded: the arm failed, or a stop or a skip ends the A/B.
        """
        samples = self._get_state(arm).samples
        first = len(samples)
        try:
            self._client.iterate(worker, arm.cell, "measured", self._requests)
        finally:
            arm.open += range(first, len(samples))

    def _ends_start(self) -> bool:
        """Return whether the open block, which counts, is the last of one of several starts.

        Where each turn is a load of its own, so is each block a start, without `--blocks`.
        """
        if self._plan.starts == 1:
            return False
        blocks = self._ab.open_blocks + 1
        if self._plan.iterations is not None:
            return blocks >= self._plan.iterations
        spent_s = self._recorder.state.sum_measured_s() - self._start_from_s
        return self._reloads or blocks >= BLOCKS_OF_START or spent_s >= self._start_budget_s

    def _discard_block(self, reason: str) -> None:
        """Record the open block, if any, as discarded."""
        if any(arm.open for arm in self._arms):
            self._record_block(self._arms, False, [reason], [])

    def _record_block(
        self,
        order: list[ArmRun],
        kept: bool,
        reasons: list[str],
        taken: list[events.Contention],
    ) -> None:
        self._is_start_over = kept and self._ends_start()
        self._recorder.record(
            events.ABBlock(
                t_ns=now_ns(),
                order=[arm.cell.id for arm in order],
                iterations={arm.cell.id: arm.open for arm in order if arm.open},
                kept=kept,
                paired=self._pairs,
                reloaded=self._reloads,
                ends_start=self._is_start_over,
                reasons=reasons,
                contention=taken,
            )
        )
        for arm in self._arms:
            arm.open = []

    # The end

    def _finish_arm(self, arm: ArmRun, stopped_by: str = "") -> None:
        """Record the end of an arm, with its memory if its worker can still be asked."""
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
        """End every arm after a stop or a skip. A skip after the first block is a regular end."""
        self._control.skip = False
        for cell in self._plan.cells:
            arm = next((a for a in self._arms if a.cell == cell), ArmRun(cell))
            if over.stopped_by == "skip" and self._ab.kept_blocks:
                self._finish_arm(arm, over.stopped_by)
            elif not self._get_state(arm).over:
                self._record_finish(arm, over.status, over.stopped_by)

    def _skip_remaining_arms(self) -> None:
        """Skip the arms that were never started, as none is left to compare them with."""
        for cell in self._plan.cells:
            if not self._recorder.state.cells[cell.id].over:
                self._client.finish(cell, "skipped", reason="no arm is left to compare it with")

    def _record_finish(self, arm: ArmRun, status: events.CellStatus, stopped_by: str) -> None:
        n = len(self._get_state(arm).samples.kept())
        self._client.finish(arm.cell, status, stopped_by=stopped_by, n=n)
