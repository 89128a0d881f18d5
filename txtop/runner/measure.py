"""How one cell is measured: what a worker is told next, from what it has answered so far."""

from __future__ import annotations

from statistics import fmean, stdev

from txtop import metrics
from txtop.events import Role
from txtop.plan import Plan
from txtop.state import CellState
from txtop.stats import stopping
from txtop.stats.intervals import anytime_half_width
from txtop.stats.stopping import StoppedBy

BLOCK_NS = 100_000_000
LOOK_AGAIN = 1.05


class Course:
    """The stopping rule of one cell. `next_block` is asked between blocks, never inside one."""

    def __init__(self, plan: Plan, state: CellState) -> None:
        self._plan = plan
        self._state = state
        self._look_at = 0
        self.stopped_by: StoppedBy | None = None

    @property
    def measured(self) -> int:
        return sum(role == "measured" for role in self._state.samples.role)

    def next_block(self) -> tuple[Role, int] | None:
        """(role, count) of the next iterations, about 0.1 s of them; null when the cell is done."""
        samples = self._state.samples
        if not len(samples):
            return "first", 1
        warm = sum(role == "warmup" for role in samples.role)
        spent_s = sum(samples.e2e_ns[1:]) / 1e9
        wanted = 3 if self._plan.warmup is None else self._plan.warmup
        if warm < wanted:
            return "warmup", min(wanted - warm, self._count())
        self.stopped_by = self._decide(spent_s)
        if self.stopped_by is not None:
            return None
        fixed = self._plan.iterations
        return "measured", min(self._count(), fixed - self.measured if fixed else 1_000_000)

    def half_width(self) -> float | None:
        """Half the anytime-valid interval of the headline, as a share of its mean."""
        return _relative(metrics.values(self._state, metrics.headline(self._state)))

    def _count(self) -> int:
        return max(1, BLOCK_NS // self._state.samples.e2e_ns[-1])

    def _decide(self, spent_s: float) -> StoppedBy | None:
        n = self.measured
        widths: list[tuple[float, float]] = []
        if self._plan.iterations is None and n >= stopping.MIN_ITERATIONS:
            if n < self._look_at and spent_s < self._plan.budget_s:
                return None
            self._look_at = round(n * LOOK_AGAIN) + 1
            bounds = {
                metrics.headline(self._state): stopping.RATE_HALF_WIDTH,
                "tpot_ms": stopping.RATE_HALF_WIDTH,
                "ttft_ms": stopping.TTFT_HALF_WIDTH,
            }
            for name, bound in bounds.items():
                width = _relative(metrics.values(self._state, name))
                if width is not None:
                    widths.append((width, bound))
        measured_ns = sum(self._state.samples.e2e_ns[i] for i in self._state.samples.kept())
        return stopping.decide(
            n=n,
            measured_s=measured_ns / 1e9,
            spent_s=spent_s,
            budget_s=self._plan.budget_s,
            iterations=self._plan.iterations,
            half_widths=widths,
        )


def _relative(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = fmean(values)
    return anytime_half_width(len(values), stdev(values, mean)) / mean
