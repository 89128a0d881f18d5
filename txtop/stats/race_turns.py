"""Decide how the arms of a confirmation take turns: in palindromes, or pairs if time is short."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.stats.race import Race
from txtop.stats.sequential import FIRST_LOOK


def is_paired(race: Race, names: Sequence[str], block_s: float) -> bool:
    """Return True if ten palindromes would take longer than there is time to confirm `names`.

    A turn is one of `block_s`, or of one call if that is longer.
    """
    if (begun := race.find_confirmation(names)) is not None:
        return begun.paired
    turns_s = (max(block_s, race.candidates[name].call_s) for name in names)
    return 2 * FIRST_LOOK * sum(turns_s) > race.confirm_left_s
