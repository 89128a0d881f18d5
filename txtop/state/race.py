"""The state of a race: its blocks and departures, folded into `stats.race`.

The cost of a block is the mean log of the time, or the log of the energy, of one unit of work.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple, get_args

from txtop.plan.plan import Plan
from txtop.plan.tuning import OBJECTIVES, Objective, Tuning
from txtop.protocol.events import RaceBlock, Standing
from txtop.state.cell import CellState
from txtop.stats.departure import UNFIT, Departure, Why
from txtop.stats.race import Race, RaceRules
from txtop.units import NS_PER_MS, NS_PER_S

STOPPED, SKIPPED, PAUSED, WORKER_LOST = "stopped", "skipped", "paused", "a worker was lost"
CUT_OFF = {STOPPED, SKIPPED, PAUSED, WORKER_LOST}
"""The reasons of a block that was cut off, or paused in: nothing disturbed it."""
WHYS: tuple[Why, ...] = get_args(Why)


class WhyWords(NamedTuple):
    """The words of a departure: short, in full, and beside the candidate `{}` that explains it."""

    short: str
    full: str
    beaten: str = ""


WHY_WORDS: dict[str, WhyWords] = {
    **{why: WhyWords(why, why) for why in WHYS},
    "slower": WhyWords("slower", "slower", "slower than {}"),
    "halved": WhyWords("behind", "behind when time was short", "behind {} when time was short"),
}


@dataclass
class RaceState:
    """The race of a session, with the blocks that were measured for it.

    `repeated_s` is the part of its time in blocks that were disturbed and do not count.
    """

    tuning: Tuning
    race: Race
    blocks: list[RaceBlock] = field(default_factory=list)
    repeated_s: float = 0.0

    @classmethod
    def of(cls, plan: Plan) -> RaceState | None:
        """Return the empty state of a plan, or None if the plan tunes nothing."""
        if plan.tuning is None:
            return None
        tuning = plan.tuning
        rules = RaceRules(
            margin=tuning.margin,
            budget_s=tuning.budget_s,
            shares=tuple(limit.share for limit in tuning.limits),
            default=tuning.default,
        )
        return cls(tuning, Race.of((cell.id for cell in plan.cells), rules))

    def is_busy(self, *names: str) -> bool:
        """Return True if others took the processor in blocks that count to confirm all `names`."""
        return any(
            b.kept and b.contention and b.stage == "confirm" and b.iterations.keys() >= set(names)
            for b in self.blocks
        )

    @property
    def discarded(self) -> int:
        """Return the number of blocks that count for nothing, which were measured again."""
        return sum(not block.kept for block in self.blocks)

    @property
    def repeated(self) -> int:
        """Return the number of blocks that do not count since something disturbed them."""
        return sum(map(_is_repeated, self.blocks))

    def add(self, block: RaceBlock, cells: dict[str, CellState]) -> bool:
        """Add a block. Return whether it counts: one that is not kept, or has no cost, does not."""
        self.blocks.append(block)
        spent_s = sum_calls_s(cells, block.iterations)
        costs = {}
        for name, places in block.iterations.items():
            cost = compute_log_cost(
                cells[name], self.tuning.objective, places, block.joules.get(name)
            )
            if cost is not None:
                costs[name] = cost
        if not block.kept or costs.keys() != block.iterations.keys():
            self.repeated_s += spent_s * _is_repeated(block)
            self.race.add_lost(block.stage, block.order, spent_s, paired=block.paired)
            return False
        for name, places in block.iterations.items():
            self.race.add_calls(name, self._count_calls(cells[name], places))
        if block.stage == "confirm":
            self.race.add_confirmation(costs, spent_s, paired=block.paired)
            return True
        for name, places in block.iterations.items():
            logs = [math.log(ns) for i in places if (ns := cells[name].samples.e2e_ns[i]) > 0]
            mean = fmean(logs) if logs else 0.0
            squares = sum((log - mean) ** 2 for log in logs)
            self.race.add_block(name, block.round, costs[name], spent_s, len(places), squares)
        return True

    def _count_calls(self, state: CellState, places: list[int]) -> list[tuple[int, int]]:
        """Return for each limit how many calls there are, and how many were over it."""
        counts = []
        for limit in self.tuning.limits:
            times = [ns for i in places if (ns := state.read_time_ns(limit.time, i)) is not None]
            counts.append((len(times), sum(ns > limit.most_ms * NS_PER_MS for ns in times)))
        return counts

    def stand(self, event: Standing) -> None:
        """Take a candidate out, or in again."""
        if not event.why:
            self.race.bring_back(event.cell)
            return
        why: Why = next((why for why in WHYS if why == event.why), "failed")
        self.race.leave(event.cell, Departure(why, event.against, event.detail))

    def lose(self, name: str, reason: str) -> None:
        """Take out a candidate that ended, unless it is out already for what keeps it out."""
        own = self.race.candidates.get(name)
        if own is not None and (own.left is None or own.left.why not in UNFIT):
            self.race.leave(name, Departure("failed", detail=reason))

    def word_departure(self, name: str) -> str:
        """Return in few words why a candidate is out, or over a limit so far; empty for others.

        Of one that failed its status says how. Which limit is said where there are several.
        """
        own, limits = self.race.candidates.get(name), self.tuning.limits
        if own is None:
            return ""
        if own.left is not None and own.left.why != "over the limit":
            return WHY_WORDS[own.left.why].short if own.left.why != "failed" else ""
        calls = zip(limits, own.calls, strict=True)
        over = [limit.quantile for limit, of in calls if not of.is_kept(limit.share)]
        if len(limits) > 1 and over:
            return f"over {' and '.join(over)}"
        return "over the limit" if over or own.left else ""

    def list_confirmed(self) -> list[str]:
        """List those whose figures are of a confirmation, where those of others are not."""
        blocks = [block for own in self.race.confirmations.values() for block in own.blocks]
        confirmed = set().union(*blocks)
        timed = [name for name, own in self.race.candidates.items() if own.costs]
        return [name for name in timed if name in confirmed] if set(timed) - confirmed else []

    def copy(self) -> RaceState:
        """Return an independent copy."""
        race = replace(
            self.race,
            candidates=copy.deepcopy(self.race.candidates),
            confirmations=copy.deepcopy(self.race.confirmations),
            _ratios={},
        )
        return RaceState(self.tuning, race, list(self.blocks), self.repeated_s)


def put_departed(why: str, count: int) -> str:
    """Return the word of a departure for so many: `do not fit` of more than one."""
    return why if count == 1 else why.replace("does ", "do ", 1)


def _is_repeated(block: RaceBlock) -> bool:
    return not block.kept and CUT_OFF.isdisjoint(block.reasons)


def sum_calls_s(cells: Mapping[str, CellState], places: Mapping[str, Sequence[int]]) -> float:
    """Return the seconds that the calls at `places` of each cell took."""
    return sum(cells[name].samples.e2e_ns[i] for name in places for i in places[name]) / NS_PER_S


def compute_log_cost(
    state: CellState, objective: Objective, places: list[int], joules: float | None = None
) -> float | None:
    """Return the mean log of what one unit of work costs in the iterations at `places`.

    None if they have no such figure. The units do not matter: costs are only ever compared.
    """
    time, per = OBJECTIVES[objective].time, OBJECTIVES[objective].per
    if time is None:
        work = sum(state.count_work(i) for i in places)
        return math.log(joules / work) if joules and joules > 0 and work else None
    logs = []
    for i in places:
        time_ns = state.read_time_ns(time, i)
        if time_ns is None or time_ns <= 0:
            return None
        units = {"call": 1, "sequence": state.cell.batch_size, "token": state.count_work(i)}
        logs.append(math.log(time_ns / units[per]))
    return fmean(logs) if logs else None
