"""A race of many candidates: who leaves and why, who gets the next block, and when it is decided.

Pure functions of numbers, so that a simulation runs the code of the real race. A cost is the log of
a time (or an energy) of one unit of work, lower is better. In a round every candidate that is still
in gets one block. The rules are those of docs/method.md, "The race".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from txtop.stats.candidate import (
    CONFIRM_SHARE,
    MIN_ROUNDS,
    Candidate,
    compute_share_s,
    count_rounds,
    estimate_sweep_s,
)
from txtop.stats.confirmation import Confirmation
from txtop.stats.departure import BEATEN, UNFIT, Departure
from txtop.stats.exceedance import Exceedance
from txtop.stats.intervals import compute_anytime_t_half_width
from txtop.stats.log_ratio import LogRatio, compute_log_ratio
from txtop.stats.sequential import ALPHA, FIRST_LOOK, FIRST_LOOK_PAIRED

Stage = Literal["race", "confirm"]
# Halving begins once each candidate could be compared, and leaves two at the least.
LEAST_LEFT = 2
LEAST_BUDGET_S = 20.0


@dataclass(frozen=True)
class RaceRules:
    """The rules of a race.

    `shares` are those of the calls that must keep each limit, as 0.9. `budget_s` is the time of
    measuring in all, of which a quarter is for the confirmation; None for 20 % of what a sweep of
    the candidates would measure. `default` is the candidate that the winner is confirmed
    against, empty for none.
    """

    margin: float
    budget_s: float | None = None
    shares: tuple[float, ...] = ()
    default: str = ""


@dataclass(frozen=True)
class Measure:
    """The next step: one block of the candidates `names`, in the race or to confirm."""

    stage: Stage
    names: tuple[str, ...]
    round: int


@dataclass(frozen=True)
class LeaveRace:
    """The next step: a candidate leaves the race."""

    name: str
    departure: Departure


@dataclass(frozen=True)
class RejoinRace:
    """The next step: a candidate comes back, as the one that it was slower than must not be had."""

    name: str


Step = Measure | LeaveRace | RejoinRace


@dataclass
class Race:
    """The state of a race; `race_spent_s` is the time measured so far before any confirmation."""

    rules: RaceRules
    candidates: dict[str, Candidate]
    confirmations: dict[frozenset[str], Confirmation] = field(default_factory=dict)
    race_spent_s: float = 0.0
    _ratios: dict[tuple[str, str, int], LogRatio] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def of(cls, names: Iterable[str], rules: RaceRules) -> Race:
        """Return a race that has not begun."""
        return cls(rules, {n: Candidate(n, [Exceedance() for _ in rules.shares]) for n in names})

    # Facts

    def add_calls(self, name: str, calls: Sequence[tuple[int, int]]) -> None:
        """Count calls of a candidate: for each limit their number, and how many were over it."""
        for own, (n, over) in zip(self.candidates[name].calls, calls, strict=True):
            own.n += n
            own.over += over

    def add_block(
        self,
        name: str,
        round_number: int,
        cost: float,
        spent_s: float,
        calls: int = 1,
        squares: float = 0.0,
    ) -> None:
        """Add the block of a candidate in a round of the race: `calls` of them took `spent_s`.

        `squares` sums the squared distances of their logs from the mean of these.
        """
        own = self.candidates[name]
        own.spread = own.spread[0] + squares, own.spread[1] + max(0, calls - 1)
        own.costs[round_number] = cost
        own.call_s, own.block_s = spent_s / max(1, calls), spent_s
        own.spent_s += spent_s
        self.race_spent_s += spent_s
        # With many blocks an estimate hardly changes from one to the next. It depends on them
        # alone, and not on who looks when: a run, its screen and a replay have one budget.
        n = len(own.costs)
        if n <= 10 or n >= 1.25 * own.swept_s[0]:
            own.swept_s = n, estimate_sweep_s(own)

    def add_lost(self, stage: Stage, names: Iterable[str], spent_s: float, *, paired: bool) -> None:
        """Add a block that is measured again: it counts for nothing, and its time was spent."""
        if stage == "race":
            self.race_spent_s += spent_s
        else:
            self._begin_confirmation(names, paired=paired).spent_s += spent_s

    def add_confirmation(self, costs: Mapping[str, float], spent_s: float, *, paired: bool) -> None:
        """Add a block of a confirmation, of all its arms or of those that are still open."""
        own = self._begin_confirmation(costs, paired=paired)
        own.blocks.append(dict(costs))
        own.spent_s += spent_s

    def _begin_confirmation(self, names: Iterable[str], *, paired: bool) -> Confirmation:
        """Return the confirmation of these candidates, a new one before its first block."""
        arms = frozenset(names)
        own = self.find_confirmation(arms)
        return own or self.confirmations.setdefault(arms, Confirmation(arms, paired))

    def leave(self, name: str, departure: Departure) -> None:
        """Take a candidate out."""
        own = self.candidates[name]
        if own.left is not None and own.left.why in BEATEN and not departure.against:
            departure = replace(departure, against=own.left.against)
        own.left, own.left_round = departure, self.round

    def bring_back(self, name: str) -> None:
        """Take a candidate in again, for the rounds to come: a drift cancels only within one."""
        newest = max(map(count_rounds, self.candidates.values()))
        self.candidates[name].left, self.candidates[name].joined_round = None, newest

    # Derived

    def find_confirmation(self, arms: Iterable[str]) -> Confirmation | None:
        """Return the newest confirmation of these candidates; None before its first block."""
        asked = frozenset(arms)
        newest_first = reversed(self.confirmations.values())
        return next((own for own in newest_first if asked <= own.arms), None)

    @property
    def spent_s(self) -> float:
        """Return the seconds measured so far, with those of blocks that do not count."""
        return self.race_spent_s + sum(own.spent_s for own in self.confirmations.values())

    @property
    def budget_s(self) -> float:
        """Return the seconds of measuring for everything, however many are spent.

        Without a given budget 0 until every candidate that is in has a block.
        """
        if self.rules.budget_s is not None:
            return self.rules.budget_s
        timed = [own for own in self.candidates.values() if own.costs]
        if not timed or any(not self.candidates[name].costs for name in self.running):
            return 0.0
        return max(LEAST_BUDGET_S, sum(map(compute_share_s, timed)))

    @property
    def race_s(self) -> float:
        """Return the seconds of measuring for the race itself."""
        return (1 - CONFIRM_SHARE) * self.budget_s

    @property
    def confirm_left_s(self) -> float:
        """Return the seconds left for all confirmations: a share, and what the race left."""
        least_s = CONFIRM_SHARE * self.budget_s + self.race_spent_s
        return max(least_s, self.budget_s) - self.spent_s

    @property
    def running(self) -> list[str]:
        """Return the candidates that are in."""
        return [c.name for c in self.candidates.values() if c.left is None]

    @property
    def round(self) -> int:
        """Return the round that is being measured, from 0: the first that a candidate lacks."""
        counts = [count_rounds(self.candidates[name]) for name in self.running]
        return min(counts, default=0)

    def keeps_limits(self, name: str) -> bool:
        """Return True if a candidate keeps every limit, as far as was measured."""
        own = self.candidates[name]
        return all(c.is_kept(s) for c, s in zip(own.calls, self.rules.shares, strict=True))

    def compare(self, name: str, other: str) -> LogRatio:
        """Return the cost of `name` over that of `other` in the rounds that both have.

        The 5 % are shared by the comparisons of the best with each other candidate, so that it is
        taken out by mistake with a probability of at most 5 %, however often this is looked at.
        """
        mine, theirs = self.candidates[name].costs, self.candidates[other].costs
        key = name, other, len(mine) + len(theirs)
        if (kept := self._ratios.get(key)) is not None:
            return kept
        logs = [mine[n] - theirs[n] for n in sorted(mine.keys() & theirs.keys())]
        alpha = ALPHA / max(1, len(self.candidates) - 1)
        ratio = compute_log_ratio(logs, compute_anytime_t_half_width, alpha)
        self._ratios[key] = ratio
        return ratio

    def rank(self, names: Iterable[str] | None = None) -> list[str]:
        """Return candidates with blocks by their cost, the best first.

        Each is compared with the one that has the most rounds, in the rounds that both have.
        """
        timed = [n for n in (self.running if names is None else names) if self.candidates[n].costs]
        if not timed:
            return []
        longest = max(timed, key=lambda n: len(self.candidates[n].costs))
        return sorted(timed, key=lambda n: self.compare(n, longest).mean)

    @property
    def leader(self) -> str | None:
        """Return the best of those that are in and keep the limits so far; None without one."""
        return next((name for name in self.rank() if self.keeps_limits(name)), None)

    @property
    def is_decided(self) -> bool:
        """Return True if nobody who is in can be better than the leader by more than the margin."""
        leader = self.leader
        if leader is None:
            return False
        band = math.log1p(self.rules.margin)
        intervals = (self.compare(n, leader).interval for n in self.running if n != leader)
        return all(own is not None and own[0] >= -band for own in intervals)


def choose_step(race: Race, loaded: Sequence[str] = ()) -> Step | None:
    """Return what comes next, None if the race is over.

    Candidates in `loaded`, in their order, get their block before others.
    """
    return _find_departure(race) or _choose_block(race, loaded) or _choose_confirmation(race)


def is_confirming(race: Race) -> bool:
    """Return whether the race itself is over, for now: its workers may still load to confirm."""
    step = choose_step(race)
    return step.stage == "confirm" if isinstance(step, Measure) else bool(race.confirmations)


def _find_departure(race: Race) -> LeaveRace | None:
    """Return a candidate that is shown to be over a limit."""
    most = len(race.candidates) * max(1, len(race.rules.shares)) / ALPHA
    for name in race.running:
        own = race.candidates[name]
        for index, share in enumerate(race.rules.shares):
            if own.calls[index].compute_evidence(share) >= most:
                return LeaveRace(name, Departure("over the limit", detail=str(index)))
    return None


def _find_return(race: Race) -> RejoinRace | None:
    """Return a candidate that left for one that must not be had, as it turned out."""
    for own in race.candidates.values():
        if own.left is None or own.lost:
            continue
        other = race.candidates.get(own.left.against)
        # Of one that was beaten before it was lost, what beat it counts.
        while other and other.lost and other.lost.against:
            other = race.candidates.get(other.lost.against)
        if other and (other.lost or not race.keeps_limits(other.name)):
            return RejoinRace(own.name)
    return None


def _choose_block(race: Race, loaded: Sequence[str]) -> Step | None:
    """Return the next step of the race itself; None once it is decided or its time is over."""
    running, number = race.running, race.round
    waiting = [n for n in running if number not in race.candidates[n].costs]
    begun = len(waiting) < len(running) or number == 0
    if begun and waiting and _is_in_time(race, number):
        near = [name for name in loaded if name in waiting]
        return Measure("race", ((near or waiting)[0],), number)
    return _judge_round(race, number)


def _is_in_time(race: Race, number: int) -> bool:
    """Return True if another block fits.

    In the first rounds of a given budget all that are left of them must fit; without a budget they
    are measured, since they set it. So they are where nobody keeps the limits.
    """
    left_s = race.race_s - race.race_spent_s
    if number >= MIN_ROUNDS:
        return left_s > 0
    if number == 0 or race.rules.budget_s is None or race.leader is None:
        return True
    own = (race.candidates[name] for name in race.running)
    return sum(c.block_s * max(0, MIN_ROUNDS - count_rounds(c)) for c in own) <= left_s


def _judge_round(race: Race, number: int) -> Step | None:
    # Not within a round: whoever is slower than the next leader, too, leaves again without a block.
    if (step := _find_return(race)) is not None:
        return step
    leader = race.leader
    if leader is not None:
        for name in race.running:
            interval = race.compare(name, leader).interval
            if name != leader and interval is not None and interval[0] > 0:
                return LeaveRace(name, Departure("slower", leader))
    if leader is not None and (race.is_decided or _is_for_confirmation(race, number)):
        return None
    if leader is not None and len(race.running) > _count_allowed(race, number):
        worst = next(n for n in reversed(race.rank()) if n != leader)
        return LeaveRace(worst, Departure("halved", leader))
    if not _is_in_time(race, number):
        return None
    waiting = [n for n in race.running if number not in race.candidates[n].costs]
    return Measure("race", (waiting[0],), number) if waiting else None


def _is_for_confirmation(race: Race, number: int) -> bool:
    """Return True if all that are left will be confirmed, which compares them better than a race.

    They were compared in a few rounds, so that the leader is one that leads for a reason.
    """
    return number >= MIN_ROUNDS and set(race.running) <= set(choose_arms(race))


def _count_allowed(race: Race, number: int) -> int:
    """Return how many may be in by now: half as many after each equal part of the time.

    In the first rounds as many as these can be measured of.
    """
    if number < MIN_ROUNDS:
        return max(LEAST_LEFT, len(race.running) - (not _is_in_time(race, number)))
    total = len(race.candidates)
    halvings = max(1, math.ceil(math.log2(max(2, total))) - 1)
    done = int(halvings * min(1.0, race.race_spent_s / race.race_s))
    return max(LEAST_LEFT, math.ceil(total / (1 << done)))


def judge_first_call(
    race: Race, name: str, call_s: float, cost: float | None = None
) -> Departure | None:
    """Judge a candidate under a given budget before its first block: its departure, if it leaves.

    One leaves whose first rounds would take longer than the race; and of those that are no better
    than the leader, as far as a call has shown its cost, whose rounds take longer than is left.
    """
    leader = race.leader
    if leader is None or race.candidates[name].costs or race.rules.budget_s is None:
        return None
    rounds_s = MIN_ROUNDS * call_s
    if rounds_s > race.race_s:
        detail = f"{MIN_ROUNDS} of its calls take longer than the race, {race.race_s:.3g} s"
        return Departure("too long", detail=detail)
    is_late = race.race_spent_s + rounds_s > race.race_s
    is_behind = cost is not None and cost >= fmean(race.candidates[leader].costs.values())
    return Departure("halved", leader) if is_late and is_behind else None


def choose_arms(race: Race) -> tuple[str, ...]:
    """Return the leader, today's default, and the best that is not shown to be slower."""
    leader = race.leader
    if leader is None:
        return ()
    arms = [leader]
    default = race.candidates.get(race.rules.default)
    is_out = default is None or (default.left is not None and default.left.why in UNFIT)
    if default is not None and default.name != leader and not is_out:
        arms.append(default.name)
    close = [n for n in race.rank() if n not in arms and race.keeps_limits(n)]
    return (*arms, *close[:1])


def _choose_confirmation(race: Race) -> Step | None:
    arms = choose_arms(race)
    if len(arms) < 2:
        return None
    confirmation = race.find_confirmation(arms) or Confirmation(frozenset(arms))
    margin, blocks = race.rules.margin, len(confirmation.blocks)
    least_s = FIRST_LOOK_PAIRED * sum(race.candidates[name].call_s for name in arms)
    if not blocks and race.rules.budget_s is not None and least_s > race.budget_s:
        return None
    is_time_over = race.confirm_left_s <= 0 and blocks >= confirmation.least_blocks
    if is_time_over or confirmation.is_decided(arms, margin):
        return None
    still_open = confirmation.find_open(arms, margin)
    return Measure("confirm", tuple(name for name in arms if name in still_open), blocks)


def is_paired(race: Race, names: Sequence[str], block_s: float) -> bool:
    """Return True if ten palindromes would take longer than there is time to confirm `names`.

    A turn is one of `block_s`, or of one call if that is longer.
    """
    if (begun := race.find_confirmation(names)) is not None:
        return begun.paired
    turns_s = (max(block_s, race.candidates[name].call_s) for name in names)
    return 2 * FIRST_LOOK * sum(turns_s) > race.confirm_left_s
