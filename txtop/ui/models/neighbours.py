"""The check of what its neighbours cost each place, in the panel of the cell at work.

It comes before the first cell of a run in several places, and no cell is at work meanwhile.
"""

from __future__ import annotations

from txtop.forecast.last_phase import format_seconds_left
from txtop.state.session import SessionState
from txtop.ui.models.hero import HeroView
from txtop.units import NS_PER_S

REASON = (
    "The first cell's work runs in each place alone, then in all of them at once:"
    " what a neighbour costs is a note on every cell."
)


def build_neighbours_hero(state: SessionState, *, replayed: bool) -> HeroView | None:
    """Build the view of the check while it goes on, else None. In a replay no key skips it."""
    now = state.isolating
    if now is None or state.current is not None:
        return None
    left = "a load, then up to a minute"
    word = f"loading in {len(now.places)} places"
    if now.rounds:
        word = f"round {min(now.done + 1, now.rounds)} of {now.rounds}"
        left = ""
    if now.done:
        spent_s = (state.clock_ns - state.isolating_from_ns) / NS_PER_S
        left = format_seconds_left(max(0.0, spent_s / now.done * (now.rounds - now.done)))
    skip = "" if replayed else "n skips it"
    if state.paused:
        word = "paused"
    return HeroView(
        title=f"check of neighbours: {', '.join(now.places)}",
        short_title="check of neighbours",
        subtitle=(("before the first cell", "muted"),),
        unit="",
        mark="‖" if state.paused else "○",
        word=word,
        reason=REASON,
        hint="; ".join(filter(None, (left, skip))),
    )
