"""An A/B as its screen shows it: its blocks, its comparisons and its arms.

Pure: made from a session's state, without clock and without I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import metrics
from txtop.plan import labels
from txtop.state.ab import ABTest
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.sequential import BLOCKS_OF_START
from txtop.ui.models.ab_comparison import ABComparisonView, build_ab_comparison, get_memory_bytes
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero import HeroView, build_hero
from txtop.units import NS_PER_S


@dataclass(frozen=True)
class ABArmView:
    """One arm: the hero of its cell, and what it is doing now, empty while it waits.

    `memory` is label and text.
    """

    letter: str
    name: str
    short_name: str
    hero: HeroView
    doing: str
    mean: float | None
    memory: tuple[str, str]


@dataclass(frozen=True)
class ABView:
    """An A/B for its screen: its blocks, comparisons and arms.

    `chosen` is the index of the comparison on the screen. `block` counts blocks, or starts where
    the `unit` is the start; `goal` says of how many. `winners` has a letter for each, empty for a
    discarded block; `share` is the part of the open one that is done.
    """

    model: str
    shared: tuple[str, ...]
    margin: float
    block: int
    first_look: int
    unit: str
    goal: str
    winners: tuple[str, ...]
    share: float
    left: str
    comparisons: tuple[ABComparisonView, ...]
    arms: tuple[ABArmView, ...]
    chosen: int = 0

    @property
    def comparison(self) -> ABComparisonView:
        """Return the comparison on the screen."""
        return self.comparisons[self.chosen]

    @property
    def sides(self) -> tuple[ABArmView, ABArmView]:
        """Return arm A and the arm that it is compared with on the screen."""
        return self.arms[0], self.arms[self.chosen + 1]

    def choose(self, place: int) -> ABView:
        """Return the same view with another comparison chosen; `place` wraps around."""
        return replace(self, chosen=place % len(self.comparisons))


def build_ab(state: SessionState, cache: FrameCache) -> ABView | None:
    """Build the view of an A/B; None for any other session."""
    ab_test = state.ab_test
    if ab_test is None:
        return None
    names, shared = labels.label_arms(ab_test.arms)
    models = dict.fromkeys(arm.model_name for arm in ab_test.arms)
    cells = [state.cells[arm.id] for arm in ab_test.arms]
    return ABView(
        model=next(iter(models)) if len(models) == 1 else "",
        shared=shared,
        margin=ab_test.margin,
        block=len(ab_test.units),
        first_look=ab_test.first_look,
        unit=ab_test.unit,
        goal=ab_test.describe_goal(len(ab_test.units)),
        winners=_list_winners(ab_test),
        share=_compute_block_share(state, ab_test),
        left=_format_time_left(state, ab_test),
        comparisons=tuple(build_ab_comparison(state, ab_test, name) for name in ab_test.sequences),
        arms=tuple(
            _build_arm(state, cell, (ab_test.letter(cell.cell.id), name, short), cache)
            for cell, name, short in zip(
                cells, names, labels.shorten_arm_labels(names), strict=True
            )
        ),
    )


def _list_winners(ab_test: ABTest) -> tuple[str, ...]:
    """Return the letter of the fastest arm of each block, or start; `=` where none was."""
    winners = []
    differences = {name: iter(s.differences) for name, s in ab_test.sequences.items()}
    for block in ab_test.blocks if ab_test.starts == 1 else ab_test.units:
        if not block.kept:
            winners.append("")
            continue
        ahead = {
            ab_test.letter(name): next(own, 0.0)
            for name, own in differences.items()
            if name in block.iterations
        }
        best = max(ahead, key=lambda letter: ahead[letter], default="")
        lead = ahead.get(best, 0.0)
        winners.append(best if lead > 0 else "A" if lead < 0 else "=")
    return tuple(winners)


def _compute_block_share(state: SessionState, ab_test: ABTest) -> float:
    """Return the part of the open block, or start, that is done, by the size of the one before."""
    if not ab_test.blocks or state.ended is not None:
        return 0.0
    expected = max(1, sum(map(len, ab_test.blocks[-1].iterations.values())))
    closed = sum(len(p) for block in ab_test.blocks for p in block.iterations.values())
    measured = sum(c.samples.role.count("measured") for c in state.cells.values())
    share = min(1.0, max(0, measured - closed) / expected)
    if ab_test.starts == 1:
        return share
    planned = state.plan.iterations or BLOCKS_OF_START
    return min(1.0, (ab_test.open_blocks + share) / planned)


def _format_time_left(state: SessionState, ab_test: ABTest) -> str:
    """Estimate the time left to the verdict, or to the end of the budget or of the starts.

    The nearest counts; with `--blocks` the end alone. Only time spent measuring counts; of starts
    that of loading as well.
    """
    if state.ended is not None:
        return ""
    if not ab_test.units:
        return formatting.PENDING
    planned = state.plan.iterations
    if ab_test.starts > 1:
        share = _compute_block_share(state, ab_test)
        so_far_s = (state.clock_ns - state.cells[ab_test.first.id].started_at_ns) / NS_PER_S
        start_s = so_far_s / (len(ab_test.units) + share)
        left = ab_test.starts - min((s.n for s in ab_test.compared), default=ab_test.starts)
        if planned is None and (expected := _count_units_left(ab_test)) is not None:
            left = min(left, expected)
        return formatting.format_estimate(max(0.0, left - share) * start_s)
    spent_s = state.sum_measured_s()
    block_s = spent_s / len(ab_test.blocks)
    if planned is not None:
        return formatting.format_estimate(max(0, planned - ab_test.kept_blocks) * block_s)
    rest_s = state.plan.budget_s - spent_s
    if (expected := _count_units_left(ab_test)) is not None:
        rest_s = min(rest_s, expected * block_s)
    return formatting.format_estimate(max(0.0, rest_s))


def _count_units_left(ab_test: ABTest) -> int | None:
    """Return how many more blocks, or starts, the verdicts may take; None if unknown."""
    left = 0
    for sequence in ab_test.compared:
        if sequence.verdict is None:
            if (expected := sequence.expected_blocks()) is None:
                return None
            left = max(left, expected - sequence.n)
    return left


def _describe_work(state: SessionState, name: str) -> str:
    if state.ended is not None:
        return ""
    if state.answering is not None and state.answering[0] == name:
        return "answering"
    return "running" if state.current == name else ""


def _build_arm(
    state: SessionState, cell: CellState, named: tuple[str, str, str], cache: FrameCache
) -> ABArmView:
    letter, name, short_name = named
    size, kind = get_memory_bytes(cell)
    metric = metrics.choose_headline_metric(cell)
    mean = cache.summarise_now(cell, metric, state.plan.seed).mean
    return ABArmView(
        letter=letter,
        name=name,
        short_name=short_name,
        hero=build_hero(state, cell, {}, cache),
        doing=_describe_work(state, cell.cell.id),
        mean=mean,
        memory=(
            "peak mem" if kind == "memory" else "weights",
            formatting.format_gib(size) if size else "…",
        ),
    )
