"""What the frames of one session keep from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics, LiveSummary
from txtop.plan import references
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import compute_percentile_above_floor

T = TypeVar("T")
RESORT_GROWTH = 1.02


class FrameCache:
    """What is computed once and kept between the frames of one session; `late` while there are
    final figures still to come, though nothing happens."""

    def __init__(self) -> None:
        self.late = False
        self.finals = FinalMetrics()
        self._itl: dict[str, tuple[object, int, tuple[tuple[str, float | None], ...]]] = {}
        self._gaps: dict[str, tuple[object, int, list[float], int]] = {}
        self._told: set[tuple[str, int]] = set()
        self._kept: dict[Hashable, tuple[object, object]] = {}

    def kept(self, name: Hashable, made_of: object, make: Callable[[], T]) -> T:
        """What was made under that name, anew only when what it is made of is not equal."""
        known = self._kept.get(name)
        if known is None or not (known[0] is made_of or known[0] == made_of):
            known = self._kept[name] = made_of, make()
        return cast(T, known[1])

    def references(self, session: SessionState) -> dict[str, CellState]:
        """For each cell that has company, the most precise one of the same work; none in an A/B,
        whose arms take turns."""
        if session.versus is not None:
            return {}
        plan = session.plan
        best = self.kept("references", plan, lambda: references.find_speed_references(plan.cells))
        return {name: session.cells[cell.id] for name, cell in best.items()}

    def live(self, state: CellState, name: str) -> LiveSummary:
        """`metrics.summarise_live`, anew only when an iteration came; of a server with very many
        requests when there are 2 % more, since all of them are looked at."""
        n = len(state.samples)
        if state.cell.serving is not None and not state.over:
            n -= n % max(1, n // 50)
        made_of = state.samples, n
        return self.kept(
            ("live", state.cell.id, name), made_of, lambda: metrics.summarise_live(state, name)
        )

    def now(self, state: CellState, name: str, seed: int) -> LiveSummary:
        """The final figure of a cell that has ended; before that what can be said."""
        return self.ended(state, name, seed) or self.live(state, name)

    def itl(self, state: CellState) -> tuple[tuple[str, float | None], ...]:
        """p50, p90 and p99 of the gaps between tokens, where there are iterations enough; of a cell
        at work anew when there are 2 % more, since all of them are sorted."""
        size = len(state.samples)
        samples, counted, found = self._itl.get(state.cell.id, (None, 0, ()))
        due = size > counted and (state.over or size >= RESORT_GROWTH * counted)
        if samples is not state.samples or due:
            gaps, count = self._sorted_gaps(state)
            found = tuple(
                (f"p{p}", compute_percentile_above_floor(gaps, count, p)) for p in (50, 90, 99)
            )
            self._itl[state.cell.id] = state.samples, size, found
        return found

    def _sorted_gaps(self, state: CellState) -> tuple[list[float], int]:
        """Those of a server are kept sorted, and new ones join them: it makes very many, and
        discards none."""
        samples = state.samples
        known = self._gaps.get(state.cell.id)
        if known is None or known[0] is not samples or state.cell.serving is None:
            known = samples, 0, [], 0
        _, seen, gaps, count = known
        more, means = metrics.compute_itl_ms(state, [i for i in samples.kept() if i >= seen])
        gaps += more
        gaps.sort()
        count += len(means)
        if state.cell.serving is not None:
            self._gaps[state.cell.id] = samples, len(samples), gaps, count
        return gaps, count

    def ended(self, state: CellState, name: str, seed: int) -> LiveSummary | None:
        """The final figure of a cell that has ended (BCa from 30 iterations on); heavy once."""
        if not state.over:
            return None
        self._told.add((state.cell.id, len(state.samples)))
        found = self.finals.of(state, seed).get(name)
        if found is None or found.mean is None:
            return None
        spread = found.stdev / found.mean if found.stdev is not None and found.mean else None
        return LiveSummary(found.n, found.mean, found.ci95, spread)

    def is_ready(self, state: CellState) -> bool:
        """Whether `ended` would cost nothing now."""
        return (state.cell.id, len(state.samples)) in self._told
