"""Decide which iterations of a cell run next, from those that were measured so far.

`MatrixRun` asks for one block after the other; `ABRun` uses the warm-up alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from statistics import fmean, stdev

from txtop.analysis import metrics
from txtop.plan.plan import Plan
from txtop.protocol.events import DisturbedBlock, Role
from txtop.runner import block_validity
from txtop.runner.recorder import now_ns
from txtop.state.cell import CellState
from txtop.state.session import SessionState, WatchedDevice
from txtop.stats import steady_state, stopping, warmup
from txtop.stats.intervals import compute_anytime_half_width
from txtop.stats.stopping import StoppedBy
from txtop.units import NS_PER_S

BLOCK_NS = 100_000_000
# A look computes over all samples so far, so looks are 5 % of the iterations apart.
LOOK_GROWTH = 1.05


@dataclass
class _IssuedBlock:
    """A block of measured iterations: the first one's index, their count, and when they ran.

    `batch` is the number of the batch with which it began.

    Times are the session's; `to_ns` is 0 until the block has ended.
    """

    first: int
    count: int
    batch: int
    from_ns: int
    to_ns: int = 0


class CellSchedule:
    """The schedule of one cell: its first iteration, its warm-up, its blocks, its stop.

    `next_block` is called between blocks, never inside one. Iterations before the index `since`
    are ignored: a worker that replaces another needs a warm-up of its own. `budget_s` replaces
    the plan's budget if several arms share it; the first iteration then counts as warm-up, so that
    a slow arm does not exceed its share.

    Batches of prompts are numbered: the next block begins with number `batch`. One that has to be
    repeated takes the batches that it had, so that what counts are whole rounds of the file.
    """

    def __init__(
        self,
        plan: Plan,
        session: SessionState,
        state: CellState,
        budget_s: float | None = None,
        since: int = 0,
    ) -> None:
        self._plan = plan
        self._budget_s = budget_s or plan.budget_s
        self._shared = budget_s is not None
        self._is_timed = plan.timed and not self._shared
        self._state = state
        self._since = since
        self._session = session
        self._first_at_ns: int | None = None
        self._counted = self._since
        self._open: list[_IssuedBlock] = []
        self._repeats = block_validity.Repeats(self._budget_s, plan.iterations)
        self._counts: dict[Role, int] = {"first": 0, "warmup": 0, "measured": 0}
        self._spent_ns: dict[Role, int] = {"first": 0, "warmup": 0, "measured": 0}
        self._look_at = 0
        self._drifting = 0
        self._again: deque[tuple[int, int]] = deque()
        self._next_batch = 0
        self.batch = 0
        self.stopped_by: StoppedBy | None = None
        self.stage = "first"

    @property
    def measured(self) -> int:
        """The number of measured iterations so far, without those of discarded blocks."""
        self._count_new_iterations()
        return self._counts["measured"] - len(self._state.samples.discarded)

    def next_warmup(self) -> tuple[Role, int] | None:
        """Return (role, count) of the next warm-up iterations, None if the cell is warm."""
        if len(self._state.samples) == self._since:
            return "first", 1
        if self._first_at_ns is None:
            self._first_at_ns = self._session.clock_ns
        self._count_new_iterations()
        count = self._count_warmup_left()
        if not count:
            return None
        self.stage = "warming"
        return "warmup", min(count, self._compute_block_size())

    def next_block(self) -> tuple[Role, int] | None:
        """Return (role, count) of the next iterations, about 0.1 s; None if the cell is done."""
        block = self.next_warmup()
        self._mark_block_end()
        if block is not None:
            return block
        self.stopped_by = self._decide()
        if self.stopped_by is not None:
            return None
        self.stage = "measuring"
        fixed = self._plan.iterations
        count = min(self._compute_block_size(), fixed - self.measured if fixed else 1_000_000)
        self.batch, count = self._take_batches(count)
        self._open.append(
            _IssuedBlock(len(self._state.samples), count, self.batch, self._session.clock_ns)
        )
        return "measured", count

    def _take_batches(self, count: int) -> tuple[int, int]:
        """Return the first of the next batches and how many, at most `count`; discarded first."""
        if not self._again:
            self._next_batch += count
            return self._next_batch - count, count
        batch, left = self._again.popleft()
        if left > count:
            self._again.appendleft((batch + count, left - count))
        return batch, min(left, count)

    def judge_blocks(self, last: bool) -> list[DisturbedBlock]:
        """Return verdicts on disturbed blocks, each once; called between blocks.

        A block is judged once there are readings from after it, or at once if `last` is set.
        """
        self._mark_block_end()
        load = self._state.load
        readings = block_validity.MachineReadings.from_session(
            self._session, load.device_id if load else None
        )
        newest_ns = readings.newest_ns()
        verdicts: list[DisturbedBlock] = []
        while self._open and self._open[0].to_ns and (last or newest_ns > self._open[0].to_ns):
            block = self._open.pop(0)
            disturbed_by = block_validity.find_disturbances(
                readings, self._first_at_ns or 0, block.from_ns, block.to_ns
            )
            if disturbed_by.reasons:
                verdicts.append(self._build_verdict(block, disturbed_by))
        return verdicts

    def _mark_block_end(self) -> None:
        """Note when the newest block ended, once all its iterations were reported."""
        newest = self._open[-1] if self._open else None
        if newest and len(self._state.samples) >= newest.first + newest.count:
            newest.to_ns = newest.to_ns or self._session.clock_ns

    def _build_verdict(
        self, block: _IssuedBlock, disturbed_by: block_validity.Disturbances
    ) -> DisturbedBlock:
        # Without time for another, a block counts as it is; what fits is no matter of time.
        spent_s = (self._spent_ns["warmup"] + self._spent_ns["measured"]) / NS_PER_S
        late = self._is_timed and spent_s >= stopping.OVERRUN * self._budget_s
        counts = late or self._plan.edge_search is not None
        repeated = not counts and self._repeats.allow(
            busy=bool(disturbed_by.contention),
            duration_ns=block.to_ns - block.from_ns,
            count=block.count,
        )
        if repeated:
            self._again.append((block.batch, block.count))
        return DisturbedBlock(
            t_ns=now_ns(),
            cell=self._state.cell.id,
            first=block.first,
            count=block.count,
            kept=not repeated,
            reasons=disturbed_by.reasons,
            contention=disturbed_by.contention,
        )

    def compute_half_width(self) -> float | None:
        """Return half the anytime-valid interval of the headline metric as a share of its mean."""
        return _compute_relative_half_width(
            metrics.compute_values(self._state, metrics.choose_headline_metric(self._state))
        )

    def _count_new_iterations(self) -> None:
        """Add the iterations since the last call to the counts and times by role."""
        samples = self._state.samples
        for i in range(self._counted, len(samples)):
            self._counts[samples.role[i]] += 1
            self._spent_ns[samples.role[i]] += samples.e2e_ns[i]
        self._counted = len(samples)

    def _compute_block_size(self) -> int:
        return max(1, BLOCK_NS // self._state.samples.e2e_ns[-1])

    def _count_warmup_left(self) -> int:
        """Return how many warm-up iterations are left of the plan's count, or the gate asks for.

        Where time ends the cell, they leave room for measuring.
        """
        done, asked = self._counts["warmup"], self._plan.warmup
        if asked is not None and not self._is_timed:
            return max(0, asked - done)
        if self._counts["measured"]:
            return 0
        cost_s = self._state.samples.e2e_ns[-1] / NS_PER_S
        if asked is not None:
            return warmup.fit_count(
                max(0, asked - done),
                done=done,
                spent_s=self._spent_ns["warmup"] / NS_PER_S,
                cost_s=cost_s,
                budget_s=self._budget_s,
                measured=self._plan.iterations or stopping.MIN_UNDER_BUDGET,
            )
        affordable = stopping.is_warmup_affordable(cost_s, self._budget_s)
        if self._is_timed and not done and not affordable:
            return 0
        spent_ns = self._spent_ns["warmup"] + self._shared * self._spent_ns["first"]
        if warmup.is_budget_spent(spent_ns / NS_PER_S, self._budget_s):
            return 0
        first = self._since + 1 + done - min(done, 2 * warmup.WINDOW)
        recent = self._state.samples.e2e_ns[first:]
        if not warmup.is_flat(recent):
            return warmup.suggest_iterations(done)
        return 0 if self._is_gpu_settled() else warmup.WINDOW

    def _is_gpu_settled(self) -> bool:
        """Check the GPU's part of the gate; True on a CPU and on a GPU that tells no clock."""
        load = self._state.load
        name = self._session.gpu(load.device_id) if load else None
        device = self._session.devices.get(name or "")
        if device is None:
            return True
        clock = self._read_clock(device)
        return clock is None or warmup.is_settled(clock)

    def _read_clock(self, device: WatchedDevice) -> list[tuple[float, float]] | None:
        """Return (s, MHz) pairs since the first iteration, None if there is no such sensor."""
        if device.last("sm_clock_mhz") is None:
            return None
        at_ns, values = device.series["sm_clock_mhz"]
        since = bisect_right(at_ns, self._first_at_ns or 0)
        return [
            (t / NS_PER_S, v) for t, v in zip(at_ns[since:], values[since:], strict=True) if v == v
        ]

    def _decide(self) -> StoppedBy | None:
        n = self.measured
        measured_s = self._spent_ns["measured"] / NS_PER_S
        spent_s = self._spent_ns["warmup"] / NS_PER_S + measured_s
        widths: list[tuple[float, float]] = []
        if self._plan.iterations is None and n >= stopping.MIN_ITERATIONS:
            if n < self._look_at and spent_s < self._plan.budget_s:
                return None
            self._look_at = round(n * LOOK_GROWTH) + 1
            widths = self._compute_half_widths()
            self._drifting = self._drifting + 1 if self._is_drifting(n) else 0
        return stopping.decide_stop(
            n=n,
            measured_s=measured_s,
            spent_s=spent_s,
            budget_s=self._plan.budget_s,
            iterations=self._plan.iterations,
            fitted=self._plan.fitted,
            half_widths=widths,
            drifting=self._drifting,
        )

    def _compute_half_widths(self) -> list[tuple[float, float]]:
        """Return relative half-widths of headline metric, TPOT and TTFT, each with its bound."""
        bounds = {
            metrics.choose_headline_metric(self._state): stopping.RATE_HALF_WIDTH,
            "tpot_ms": stopping.RATE_HALF_WIDTH,
            "ttft_ms": stopping.TTFT_HALF_WIDTH,
        }
        widths = {
            name: _compute_relative_half_width(metrics.compute_values(self._state, name))
            for name in bounds
        }
        return [(width, bounds[name]) for name, width in widths.items() if width is not None]

    def _is_drifting(self, n: int) -> bool:
        """Run the trend test on the measured iterations, from 30 on."""
        if n < stopping.NO_STEADY_FROM:
            return False
        samples = self._state.samples
        durations = [samples.e2e_ns[i] for i in samples.kept()]
        return steady_state.is_drifting(durations, steady_state.LIVE_SIGNIFICANCE)


def _compute_relative_half_width(values: list[float]) -> float | None:
    """Return the anytime-valid half-width as a share of the mean, None if there is no mean."""
    if len(values) < 2:
        return None
    mean = fmean(values)
    return compute_anytime_half_width(len(values), stdev(values, mean)) / mean if mean else None
