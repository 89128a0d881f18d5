"""Values that one frame of a session computes and later frames reuse."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics, LiveSummary
from txtop.analysis.ratios import find_references
from txtop.plan import labels, references
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import compute_percentile_above_floor

T = TypeVar("T")
# Percentiles of the gaps are due again after this growth in iterations.
RESORT_GROWTH = 1.02
ITL_PERCENTILES = (50, 90, 99)


class FrameCache:
    """Values that are computed once and kept between the frames of one session.

    `late` is True while final figures are still to be computed though no event arrives.
    """

    def __init__(self) -> None:
        self.late = False
        self.finals = FinalMetrics()
        self._itl: dict[str, tuple[object, int, tuple[tuple[str, float | None], ...]]] = {}
        self._gaps: dict[str, tuple[object, int, list[float], int]] = {}
        self._told: set[tuple[str, int]] = set()
        self._kept: dict[Hashable, tuple[object, object]] = {}

    def get_or_make(self, name: Hashable, made_of: object, make: Callable[[], T]) -> T:
        """Return the value made under `name`; make it again only if `made_of` has changed."""
        entry = self._kept.get(name)
        if entry is None or not (entry[0] is made_of or entry[0] == made_of):
            entry = self._kept[name] = made_of, make()
        return cast(T, entry[1])

    def names_apart(self, session: SessionState) -> dict[str, str]:
        """Return by its id what tells each cell from the others, those added later included."""
        cells = session.cells.values()
        return self.get_or_make(
            "names",
            (session.plan, len(cells)),
            lambda: labels.name_apart([own.cell for own in cells]),
        )

    def references(self, session: SessionState) -> dict[str, CellState]:
        """Return, for each cell that has company, the cell that its speed is stated beside."""
        made_of = session.list_accepted(), session.ab_test is None, session.race is None
        best = self.get_or_make("references", made_of, lambda: find_references(session))
        return {name: session.cells[cell.id] for name, cell in best.items()}

    def is_judged(self, session: SessionState, name: str) -> bool:
        """Return whether the output of a cell is compared with that of another one."""
        cells = session.list_accepted()
        judged = self.get_or_make("judged", cells, lambda: references.find_output_references(cells))
        return name in judged

    def has_badge(self, session: SessionState, name: str) -> bool:
        """Return whether the speed of a cell stands with a badge.

        In a race that is of another reference, which has a speed and no badge.
        """
        return session.race is None or self.is_judged(session, name)

    def summarise_live(self, state: CellState, name: str) -> LiveSummary:
        """Return `metrics.summarise_live`, computed again only when an iteration came.

        For a server with very many requests it is computed again at every 2 % more, since all of
        them are read.
        """
        n = len(state.samples)
        if state.cell.serving is not None and not state.over:
            n -= n % max(1, n // 50)
        made_of = state.samples, n, state.counted
        return self.get_or_make(
            ("live", state.cell.id, name), made_of, lambda: metrics.summarise_live(state, name)
        )

    def summarise_now(self, state: CellState, name: str, seed: int) -> LiveSummary:
        """Return the final figure of a cell that is over, else the live one."""
        return self.summarise_final(state, name, seed) or self.summarise_live(state, name)

    def compute_itl_percentiles(
        self, state: CellState, seed: int
    ) -> tuple[tuple[str, float | None], ...]:
        """Return p50, p90 and p99 of the gaps between tokens; None below the iterations needed.

        Those of a cell that is over are the final figures, of its steady part. For a running cell
        they are computed again at every 2 % more, since all gaps are sorted.
        """
        if state.over:
            self._told.add((state.cell.id, len(state.samples)))
            final = self.finals.of(state, seed).get("itl_ms")
            return tuple((f"p{p}", getattr(final, f"p{p}", None)) for p in ITL_PERCENTILES)
        size, made_of = len(state.samples), (state.samples, state.counted)
        before, counted, percentiles = self._itl.get(state.cell.id, (None, 0, ()))
        due = size > counted and size >= RESORT_GROWTH * counted
        if before != made_of or due:
            gaps, count = self._sort_gaps(state)
            percentiles = tuple(
                (f"p{p}", compute_percentile_above_floor(gaps, count, p)) for p in ITL_PERCENTILES
            )
            self._itl[state.cell.id] = made_of, size, percentiles
        return percentiles

    def _sort_gaps(self, state: CellState) -> tuple[list[float], int]:
        """Return the gaps in order, and the number of iterations they come from.

        Those of a server are kept sorted and new ones join them: it makes very many, and discards
        none.
        """
        samples = state.samples
        entry = self._gaps.get(state.cell.id)
        if entry is None or entry[0] is not samples or state.cell.serving is None:
            entry = samples, 0, [], 0
        _, seen, gaps, count = entry
        more, means = metrics.compute_itl_ms(state, [i for i in samples.kept() if i >= seen])
        gaps += more
        gaps.sort()
        count += len(means)
        if state.cell.serving is not None:
            self._gaps[state.cell.id] = samples, len(samples), gaps, count
        return gaps, count

    def summarise_final(self, state: CellState, name: str, seed: int) -> LiveSummary | None:
        """Return the final figure of a cell that is over (BCa from 30 iterations on), else None.

        The first call for a cell takes long.
        """
        if not state.over:
            return None
        self._told.add((state.cell.id, len(state.samples)))
        summary = self.finals.of(state, seed).get(name)
        if summary is None or summary.mean is None:
            return None
        spread = (
            summary.stdev / summary.mean if summary.stdev is not None and summary.mean else None
        )
        return LiveSummary(summary.n, summary.mean, summary.ci95, spread)

    def is_ready(self, state: CellState) -> bool:
        """Return True if `summarise_final` would cost nothing now."""
        return (state.cell.id, len(state.samples)) in self._told
