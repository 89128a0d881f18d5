"""An A/B as the screen shows it: its blocks, its comparisons, and a lane an arm.

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
from txtop.ui.models import hero_metrics
from txtop.ui.models.ab_comparison import Comparison, comparison, memory_bytes
from txtop.ui.models.cache import Memo
from txtop.ui.models.hero import Hero, hero

NS_PER_S = 1e9


@dataclass(frozen=True)
class Lane:
    """One arm: what a hero says of its cell, and whether it is at work now."""

    letter: str
    name: str
    hero: Hero
    running: bool
    mean: float | None
    memory: tuple[str, str]


@dataclass(frozen=True)
class Duel:
    """All of an A/B. `chosen` is the place of the comparison on show; `winners` has a letter a
    block, empty where it was discarded; `share` is how much of the open block is done."""

    model: str
    names: tuple[str, ...]
    shared: tuple[str, ...]
    margin: float
    block: int
    first_look: int
    winners: tuple[str, ...]
    share: float
    left: str
    comparisons: tuple[Comparison, ...]
    lanes: tuple[Lane, ...]
    chosen: int = 0

    @property
    def comparison(self) -> Comparison:
        return self.comparisons[self.chosen]

    @property
    def sides(self) -> tuple[Lane, Lane]:
        """A, and the arm that is held against it on show."""
        return self.lanes[0], self.lanes[self.chosen + 1]

    def choose(self, place: int) -> Duel:
        """The same with another comparison on show, counted round."""
        return replace(self, chosen=place % len(self.comparisons))


def duel(state: SessionState, memo: Memo) -> Duel | None:
    """Null where the session is no A/B."""
    versus = state.versus
    if versus is None:
        return None
    names, shared = labels.names(versus.arms)
    models = dict.fromkeys(arm.model_name for arm in versus.arms)
    cells = [state.cells[arm.id] for arm in versus.arms]
    return Duel(
        model=next(iter(models)) if len(models) == 1 else "",
        names=names,
        shared=shared,
        margin=versus.margin,
        block=versus.blocks,
        first_look=versus.first_look,
        winners=_winners(versus),
        share=_share(state, versus),
        left=_left(state, versus),
        comparisons=tuple(comparison(state, versus, name) for name in versus.sequences),
        lanes=tuple(
            _lane(state, cell, versus.letter(cell.cell.id), name, memo)
            for cell, name in zip(cells, names, strict=True)
        ),
    )


def _winners(versus: ABTest) -> tuple[str, ...]:
    """Of each block the letter of the arm that was the fastest; `=` where none was."""
    found = []
    place = 0
    sequences = versus.sequences
    for each in versus.rounds:
        if not each.kept:
            found.append("")
            continue
        ahead = {
            versus.letter(name): s.differences[place] if place < len(s.differences) else 0.0
            for name, s in sequences.items()
        }
        best = max(ahead, key=lambda letter: ahead[letter])
        found.append(best if ahead[best] > 0 else "A" if max(ahead.values()) < 0 else "=")
        place += 1
    return tuple(found)


def _share(state: SessionState, versus: ABTest) -> float:
    """How much of the open block is done, from what the one before had."""
    if not versus.rounds or state.ended is not None:
        return 0.0
    wanted = max(1, sum(map(len, versus.rounds[-1].iterations.values())))
    closed = sum(len(p) for each in versus.rounds for p in each.iterations.values())
    made = sum(c.samples.role.count("measured") for c in state.cells.values())
    return min(1.0, max(0, made - closed) / wanted)


def measured_s(state: SessionState) -> float:
    """Seconds that all arms have measured so far."""
    return sum(hero_metrics.measured_ns(cell) for cell in state.cells.values()) / NS_PER_S


def _left(state: SessionState, versus: ABTest) -> str:
    """A guess of the time that measuring still takes: to the verdict, or to the end of the budget,
    whichever is nearer."""
    if state.ended is not None:
        return ""
    if not versus.blocks:
        return formatting.PENDING
    spent_s = measured_s(state)
    block_s = spent_s / len(versus.rounds)
    if state.plan.iterations is not None:
        return formatting.about(max(0, state.plan.iterations - versus.blocks) * block_s)
    rest_s = state.plan.budget_s - spent_s
    open_ = [s for name, s in versus.sequences.items() if versus.verdict(name) is None]
    wanted = [s.expected_blocks() for s in open_]
    if wanted and all(n is not None for n in wanted):
        rest_s = min(
            rest_s, max((n or 0) - s.n for n, s in zip(wanted, open_, strict=True)) * block_s
        )
    return formatting.about(max(0.0, rest_s))


def _lane(state: SessionState, cell: CellState, letter: str, name: str, memo: Memo) -> Lane:
    size, what = memory_bytes(cell)
    metric = metrics.choose_headline_metric(cell)
    mean = memo.now(cell, metric, state.plan.seed).mean
    return Lane(
        letter=letter,
        name=name,
        hero=hero(state, cell, {}, memo),
        running=state.current == cell.cell.id and state.ended is None,
        mean=mean,
        memory=(
            "peak mem" if what == "memory" else "weights",
            formatting.gib(size) if size else "…",
        ),
    )
