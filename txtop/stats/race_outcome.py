"""The outcome of a race: who is named, against whom it was confirmed, and what that showed."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.stats.confirmation import Confirmation
from txtop.stats.race import Race, choose_arms
from txtop.stats.sequential import SequentialVerdict


@dataclass(frozen=True)
class RaceOutcome:
    """The outcome: who is named, against whom it was confirmed, and what that showed.

    `gain` is the verdict against today's default, None if there is none to compare with.
    """

    winner: str
    runner_up: str | None
    arms: tuple[str, ...]
    gain: SequentialVerdict | None
    close: SequentialVerdict | None

    @property
    def shows_difference(self) -> bool:
        """Return True if the winner is shown to be better than what it was confirmed against."""
        return self.gain == "faster" if self.gain is not None else self.close == "faster"

    @property
    def is_unconfirmed(self) -> bool:
        """Return True if there were others to confirm it against, and no verdict came of that."""
        return len(self.arms) > 1 and self.gain is None and self.close is None

    @property
    def is_inconclusive(self) -> bool:
        """Return True if it stayed open whether the winner is better than another."""
        is_open = "inconclusive" in (self.gain, self.close) or self.is_unconfirmed
        return is_open and not self.shows_difference


def name_outcome(race: Race, *, over: bool) -> RaceOutcome | None:
    """Return the outcome so far; None if nobody can be named.

    What is still open is inconclusive once the race is `over`. If the confirmation shows the
    runner-up or today's default to be better than the leader, or leaves it open with the better
    mean, that one is named instead, if it keeps the limits.
    """
    arms = choose_arms(race)
    if not arms:
        return None
    winner, default = arms[0], race.rules.default
    others = [n for n in arms[1:] if n != default]
    runner_up = others[0] if others else None
    margin, confirmation = race.rules.margin, race.find_confirmation(arms)
    if confirmation is None or not confirmation.blocks:
        return RaceOutcome(winner, runner_up, arms, None, None)
    may_be_named = [n for n in arms[1:] if race.keeps_limits(n)]
    for other in sorted(may_be_named, key=lambda n: n == default):
        if _is_better(confirmation, other, winner, margin, over):
            winner, runner_up = other, winner
    if runner_up == default:
        runner_up = None  # One comparison answers both questions.

    def judge(other: str | None) -> SequentialVerdict | None:
        if other is None or other == winner or other not in arms:
            return None
        return confirmation.judge(winner, other, margin) or ("inconclusive" if over else None)

    return RaceOutcome(winner, runner_up, arms, judge(default), judge(runner_up))


def _is_better(
    confirmation: Confirmation, name: str, other: str, margin: float, over: bool
) -> bool:
    """Return True if `name` is to be named before `other`, which led the race.

    Who led was chosen for its blocks, so that they flatter it. Those of the confirmation flatter
    nobody: with enough of them their mean decides what they cannot show.
    """
    verdict = confirmation.judge(name, other, margin)
    if verdict is not None or not over:
        return verdict == "faster"
    ratio = confirmation.compare(name, other)
    return ratio.n >= confirmation.least_blocks and ratio.mean < 0
