"""Conduct the race of `txtop tune`: block by block, until one configuration is named.

`stats.race` decides what comes next from the folded state, so that a resumed run goes on where the
log ends. Cells that share weights share a worker, and workers stay loaded while there is room.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from random import Random

import msgspec

from txtop.analysis import tuning as rules
from txtop.forecast.admission import explain_no_room
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.plan.tuning import Tuning
from txtop.protocol import commands, events
from txtop.runner import turn_energy, worker_failure
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.block_validity import find_block_disturbances, may_repeat_in_race
from txtop.runner.output_run import AccuracyRun, FidelityRun
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.runner.worker_pool import PooledWorker, WorkerPool
from txtop.state.cell import CellState
from txtop.state.race import (
    PAUSED,
    SKIPPED,
    STOPPED,
    WORKER_LOST,
    RaceState,
    compute_log_cost,
    sum_calls_s,
)
from txtop.state.turns_fold import list_endings
from txtop.stats.departure import Departure, Why
from txtop.stats.race import (
    LEAST_BUDGET_S,
    Measure,
    RejoinRace,
    Stage,
    choose_arms,
    choose_step,
    is_paired,
    judge_first_call,
)
from txtop.units import NS_PER_S

BLOCK_NS = 100_000_000
# A block for which a model was loaded is longer, so that more is measured than loaded.
RELOADED_BLOCK_NS = 1_000_000_000
# For the warm-up of a candidate in a worker; the gate takes a part of it.
WARMUP_BUDGET_S = 3.0
GRACE_S = 1.0


class TuneRun:
    """Run the race of a plan with a tuning, and confirm its winner."""

    def __init__(
        self, client: WorkerClient, tuning: Tuning, outputs: FidelityRun, answers: AccuracyRun
    ) -> None:
        self._client, self._tuning = client, tuning
        self._outputs, self._answers = outputs, answers
        self._plan, self._recorder, self._control = client.plan, client.recorder, client.control
        self._pool = WorkerPool(client)
        self._random = Random(self._plan.seed)
        self._since_ns: dict[str, int] = {}
        self._confirmed: frozenset[str] = frozenset()
        # Those whose worker died once in this run.
        self._replaced: set[str] = set()

    def run(self) -> None:
        """Admit, race and confirm, until the run is stopped."""
        try:
            self._admit()
            self._client.drop_late_skip()
            while not self._control.stops:
                if self._control.skip:
                    self._skip_candidate()
                step = choose_step(self._race.race, self._list_loaded())
                if step is None:
                    break
                if isinstance(step, Measure):
                    self._measure(step)
                elif isinstance(step, RejoinRace):
                    self._record_standing(step.name)
                else:
                    self._let_leave(step.name, step.departure)
            self._client.drop_late_skip()
            if not self._control.stops:
                self._finish()
        finally:
            self._pool.end_all(GRACE_S if self._control.stops < 2 else 0.1)

    @property
    def _race(self) -> RaceState:
        race = self._recorder.state.race
        assert race is not None
        return race

    def _get_state(self, name: str) -> CellState:
        return self._recorder.state.cells[name]

    # Who takes part

    def _admit(self) -> None:
        """Leave out what cannot run, does not fit, or is too far from the reference's output."""
        waiting = [
            self._get_state(name).cell
            for name in self._race.race.running
            if not self._race.race.candidates[name].costs
        ]
        self._client.refuse_absent(waiting)
        for name in self._race.race.running:
            cell = self._get_state(name).cell
            # What was timed before the run was cut off has passed.
            if self._race.race.candidates[name].costs or self._client.refuse(cell):
                continue
            if why := explain_no_room(self._recorder.state, cell):
                self._reject(cell, "does not fit", why, "fewer values in --space, or more memory")
        # Only who is near enough is asked: answers take longer than a comparison of outputs.
        for outputs, explain, option in (
            (self._outputs, rules.explain_below_floor, "--floor"),
            (self._answers, rules.explain_below_accuracy, "--min-accuracy"),
        ):
            outputs.run()
            if self._control.stops:
                return
            for name in self._race.race.running:
                if why := explain(self._recorder.state, name):
                    self._turn_away(self._get_state(name).cell, why, option)

    def _turn_away(self, cell: Cell, why: str, option: str) -> None:
        """Let a candidate leave for what its output is worth, or since nobody knows that."""
        result = self._recorder.state.output_of(cell.id)
        failed = result.failed if result is not None else ""
        if failed == SKIPPED:
            self._record_standing(cell.id, "skipped", detail="its output was not compared")
        elif failed:
            self._reject(cell, "failed", why, f"{option} none races it unjudged")
        else:
            self._reject(cell, "below the floor", why, f"another {option}")

    def _reject(self, cell: Cell, why: Why, detail: str, hint: str) -> None:
        self._record_standing(cell.id, why, detail=detail)
        if not self._get_state(cell.id).over:
            self._client.reject(cell, detail, hint)

    def _record_standing(
        self, name: str, why: str = "", against: str = "", detail: str = ""
    ) -> None:
        self._recorder.record(
            events.Standing(t_ns=now_ns(), cell=name, why=why, against=against, detail=detail)
        )

    def _let_leave(self, name: str, departure: Departure) -> None:
        detail = departure.detail
        if departure.why == "over the limit":
            limit = self._tuning.limits[int(detail)]
            detail = rules.describe_reached(self._get_state(name), limit)
        self._record_standing(name, departure.why, departure.against, detail)

    # Workers

    def _get_key(self, name: str, stage: Stage) -> str:
        """Return the key of a worker: confirmed configurations have one each, freshly loaded."""
        return f"confirm {name}" if stage == "confirm" else self._get_state(name).cell.group

    def _list_loaded(self) -> list[str]:
        """Return the candidates whose weights are loaded, the ones used last first."""
        order = {key: place for place, key in enumerate(self._pool.keys)}
        near = [n for n in self._race.race.running if self._get_key(n, "race") in order]
        return sorted(near, key=lambda n: order[self._get_key(n, "race")])

    def _prepare(self, name: str, stage: Stage) -> PooledWorker:
        """Return a worker that is warm for the candidate, loaded if need be.

        This and the turn that follows have the time of one candidate.

        Raises:
            WorkerDied: the worker died.
            CellEnded: the candidate failed, or a stop or a skip ends it.
        """
        self._client.start_deadline(self._plan.timeout_s)
        cell, key = self._get_state(name).cell, self._get_key(name, stage)
        pooled = self._pool.take(key)
        is_loaded = pooled is not None
        if pooled is None:
            pooled = self._pool.start(key, cell)
        if name not in pooled.warm or name not in self._recorder.state.working:
            self._recorder.record(
                events.CellStarted(
                    t_ns=now_ns(),
                    cell=name,
                    worker=pooled.process.name,
                    shares_weights=is_loaded,
                    goes_on=bool(self._get_state(name).started_at_ns),
                )
            )
        if not is_loaded:
            self._client.load(pooled.process, cell)
        if pooled.prepared != name:
            prepare = commands.Prepare(cell=cell)
            self._client.ask(pooled.process, prepare, cell, events.Workload)
            pooled.prepared = name
            self._warm_up(pooled, cell)
        return pooled

    def _warm_up(self, pooled: PooledWorker, cell: Cell) -> None:
        if cell.id in pooled.warm:
            return self._client.iterate(pooled.process, cell, "warmup", 1)
        schedule = self._build_schedule(cell.id)
        while (block := schedule.next_warmup()) is not None:
            self._client.wait_while_paused(pooled.process, cell.id)
            if block[0] != "first":
                self._client.iterate(pooled.process, cell, *block)
            elif (departure := self._make_first_call(pooled, cell)) is not None:
                return self._let_leave(cell.id, departure)
        pooled.warm.add(cell.id)
        self._since_ns.setdefault(cell.id, self._recorder.state.clock_ns)
        state = self._get_state(cell.id)
        if why := rules.explain_below_floor(self._recorder.state, cell.id):
            return self._record_standing(cell.id, "below the floor", detail=why)
        newest = len(state.samples) - 1
        cost = compute_log_cost(state, self._tuning.objective, [newest])
        call_s = state.samples.e2e_ns[newest] / NS_PER_S
        if (departure := judge_first_call(self._race.race, cell.id, call_s, cost)) is not None:
            self._let_leave(cell.id, departure)

    def _make_first_call(self, pooled: PooledWorker, cell: Cell) -> Departure | None:
        """Make the first call of a candidate in a worker.

        Return its departure if the call was cut off, as it takes longer than the budget can bear.
        If its step then goes on for longer than the model took to load, the worker is killed.
        """
        since_s, departure = time.monotonic(), None

        def is_too_long() -> bool:
            nonlocal departure
            if (call_s := time.monotonic() - since_s) > WARMUP_BUDGET_S:
                departure = judge_first_call(self._race.race, cell.id, call_s)
            return departure is not None

        self._client.iterate(pooled.process, cell, "first", 1, gives_up=is_too_long)
        if departure is not None:
            pooled.prepared = ""
            load = self._get_state(cell.id).load
            assert load is not None
            with suppress(WorkerDied):
                self._client.cancel(pooled.process, cell, grace_s=load.load_s)
        return departure

    def _find_too_long(self, name: str) -> Departure | None:
        """Return the departure of a smaller batch whose first call was too long; None without one.

        That of a larger one is no shorter.
        """
        cell = self._get_state(name).cell
        for other in self._race.race.candidates.values():
            smaller = self._get_state(other.name).cell
            alike = msgspec.structs.replace(smaller, id=cell.id, batch_size=cell.batch_size) == cell
            is_out = other.left is not None and other.left.why == "too long"
            if is_out and alike and smaller.batch_size < cell.batch_size:
                return other.left
        return None

    def _build_schedule(self, name: str) -> CellSchedule:
        state = self._get_state(name)
        since = len(state.samples)
        return CellSchedule(self._plan, self._recorder.state, state, WARMUP_BUDGET_S, since)

    # Blocks

    def _measure(self, step: Measure) -> None:
        """Measure one block of the candidates of `step`, in turns if there are several."""
        is_race = step.stage == "race"
        if is_race and (departure := self._find_too_long(*step.names)) is not None:
            return self._let_leave(step.names[0], departure)
        order = list(step.names)
        self._random.shuffle(order)
        places: dict[str, list[int]] = {name: [] for name in order}
        block = events.RaceBlock(
            t_ns=0, stage=step.stage, round=step.round, order=order, iterations=places, kept=False
        )
        spans: dict[str, list[tuple[int, int]]] = {name: [] for name in order}
        from_ns, pauses, name = 0, 0, order[0]
        try:
            if not is_race:
                if not self._confirmed.issuperset(order):
                    # Confirmed by processes that are as fresh as the figures.
                    self._pool.end_all()
                    self._pool.evictions = 0
                    self._confirmed = frozenset(order)
                    cells = self._recorder.state.cells.values()
                    names = labels.name_apart([state.cell for state in cells])
                    arms = ", ".join(names[name] for name in step.names)
                    text = f"confirming {arms}: each in a fresh process"
                    self._recorder.record(events.Log(t_ns=now_ns(), text=text))
                for name in order:
                    self._prepare(name, step.stage)
                # Blocks are longer if the arms turned out not to fit beside one another.
                block_s = self._get_block_ns(step.stage) / NS_PER_S
                block.paired = is_paired(self._race.race, order, block_s)
            turns = order if len(order) == 1 or block.paired else [*order, *reversed(order)]
            for name in turns:
                pooled = self._prepare(name, step.stage)
                if is_race and self._race.race.candidates[name].left is not None:
                    return
                self._client.wait_while_paused(pooled.process, name)
                if not from_ns:
                    from_ns, pauses = self._recorder.state.clock_ns, self._client.pauses
                begun_ns = self._recorder.state.clock_ns
                self._take_turn(pooled, name, places[name], step.stage)
                spans[name].append((begun_ns, self._recorder.state.clock_ns))
        except (WorkerDied, CellEnded) as error:
            if any(places.values()):
                lost = SKIPPED if self._control.skips(name) else WORKER_LOST
                block.reasons = [STOPPED if self._control.stops else lost]
                self._record(block)
            return self._handle_loss(name, step.stage, error)
        since_ns = {name: self._since_ns.get(name, 0) for name in order}
        disturbed_by = find_block_disturbances(self._recorder.state, since_ns, from_ns)
        block.reasons, block.contention = disturbed_by.reasons, disturbed_by.contention
        if self._client.pauses > pauses:
            block.reasons = [PAUSED, *block.reasons]
            return self._record(block)
        block.kept = not block.reasons or not may_repeat_in_race(
            self._race.repeated,
            self._race.repeated_s,
            sum_calls_s(self._recorder.state.cells, places),
            budget_s=self._race.race.budget_s or LEAST_BUDGET_S,
            spent_s=self._race.race.spent_s,
        )
        if self._tuning.objective == "energy":
            block.joules = self._read_joules(spans)
        self._record(block)
        if block.kept:
            self._drop_unmeasured(block)

    def _read_joules(self, spans: dict[str, list[tuple[int, int]]]) -> dict[str, float]:
        joules = {
            name: turn_energy.measure_joules(self._client, self._get_state(name), turns)
            for name, turns in spans.items()
        }
        return {name: value for name, value in joules.items() if value is not None}

    def _drop_unmeasured(self, block: events.RaceBlock) -> None:
        """Take out candidates that have no such figure, or no time that a limit is of.

        Their blocks would never count, or never be over the limit.
        """
        objective = self._tuning.objective
        for name, own in block.iterations.items():
            state = self._get_state(name)
            cost = compute_log_cost(state, objective, own, block.joules.get(name))
            unread = (
                limit.time.upper()
                for limit in self._tuning.limits
                if all(state.read_time_ns(limit.time, i) is None for i in own)
            )
            if lacks := objective if cost is None else next(unread, ""):
                self._record_standing(name, "failed", detail=f"no {lacks} is measured here")

    def _get_block_ns(self, stage: Stage) -> int:
        if self._tuning.objective == "energy":
            confirms = stage == "confirm"
            return turn_energy.CONFIRMING_TURN_NS if confirms else turn_energy.TURN_NS
        return RELOADED_BLOCK_NS if self._pool.evictions else BLOCK_NS

    def _take_turn(self, pooled: PooledWorker, name: str, places: list[int], stage: Stage) -> None:
        """Measure the calls of one turn. Add their numbers to `places`, however it ends."""
        state = self._get_state(name)
        first = len(state.samples)
        count = max(1, math.ceil(self._get_block_ns(stage) / state.samples.e2e_ns[-1]))
        try:
            self._client.iterate(pooled.process, state.cell, "measured", count)
        finally:
            places += range(first, len(state.samples))
        if state.memory is None:
            self._read_memory(pooled, state)

    def _read_memory(self, pooled: PooledWorker, state: CellState) -> None:
        """Read the peak of a candidate; one that takes more than was asked for leaves."""
        finish = commands.Finish(cell=state.cell.id)
        self._client.ask(pooled.process, finish, state.cell, events.Memory)
        pooled.prepared = ""
        if why := rules.explain_too_large(self._recorder.state, state.cell.id):
            self._record_standing(state.cell.id, "does not fit", detail=why)

    def _record(self, block: events.RaceBlock) -> None:
        block.iterations = {name: own for name, own in block.iterations.items() if own}
        block.t_ns = now_ns()
        self._recorder.record(block)

    # Ends

    def _handle_loss(self, name: str, stage: Stage, error: WorkerDied | CellEnded) -> None:
        """Forget a worker that failed, and record the end of its candidate.

        One that died, and not for want of memory, is replaced once.
        """
        state = self._get_state(name)
        if self._control.stops:
            return
        pooled = self._pool.drop(self._get_key(name, stage))
        schedule = self._build_schedule(name)
        if self._control.skips(name):
            self._skip_candidate(name)
        elif isinstance(error, WorkerDied) and not state.over:
            event = worker_failure.build_death_event(pooled.process, state, schedule)
            if event.status == "oom" or name in self._replaced:
                self._recorder.record(event)
            else:
                self._replaced.add(name)
                text = f"{event.reason}: a fresh one is loaded"
                self._recorder.record(
                    events.Log(t_ns=now_ns(), text=text, level="warning", cell=name)
                )
        elif isinstance(error, CellEnded) and error.status == "timeout":
            self._recorder.record(
                worker_failure.end_silent_worker(pooled.process, state, schedule, error.reason)
            )
        pooled.process.end(0.1)

    def _skip_candidate(self, at_work: str | None = None) -> None:
        """Let the candidate leave that was shown as the skip came, else the one `at_work`."""
        name, race = self._control.skip_of or at_work, self._race.race
        # Who left the race may still be confirmed, as today's default.
        if name is None or (race.candidates[name].left and name not in choose_arms(race)):
            return self._client.drop_late_skip()
        state = self._get_state(name)
        self._record_standing(name, "skipped")
        self._client.finish(state.cell, "skipped", stopped_by="skip", n=len(state.samples.kept()))

    def _finish(self) -> None:
        """End every candidate that was measured, or is out."""
        for event in list_endings(self._recorder.state, "race", now_ns()):
            self._recorder.record(event)
