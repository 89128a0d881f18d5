"""The outcome of a race or of a search for an edge: the cell that it names, and what was shown."""

from __future__ import annotations

from txtop import formatting
from txtop.analysis.edge import find_answer
from txtop.analysis.tuning import TuneResult, list_confirmations
from txtop.export.text import tuning as wording
from txtop.state.cell import CellState
from txtop.state.race import RaceState
from txtop.state.session import SessionState


def find_searched(
    state: SessionState, named: TuneResult | None
) -> tuple[str, CellState | None, str]:
    """Return what a search calls its outcome, the cell that is it, and what of that was searched.

    The fastest of a race may be over a limit, and that of a search for an edge is hardly ever the
    largest.
    """
    if state.race is not None:
        return "to deploy", named.winner if named is not None else None, ""
    if state.plan.edge_search is not None:
        edge = find_answer(state)
        if edge is None or edge.largest is None:
            return "largest that ran", None, ""
        return (
            f"{edge.axis.title} that ran",
            edge.largest,
            edge.axis.format_value(edge.largest.cell),
        )
    return "", None, ""


def word_race(
    state: SessionState, race: RaceState, named: TuneResult, relative: str
) -> tuple[str, tuple[str, ...]]:
    """Return what a race has shown, and forms of what that rests on: a ratio that shows nothing.

    `relative` is how many times as good as today's default the winner was in the race.
    """
    verdict = wording.format_verdict(state, named).partition(":")[0]
    first = next(iter(list_confirmations(race, named.outcome)), None)
    if first is None:
        return verdict, (relative,)
    gain = wording.format_as_good(race.tuning, first.ratio, first.ci95)
    gain += f" as {wording.name_role(race, first.other)}"
    ends = "without an interval"
    if first.ci95 is not None and not formatting.is_rough(first.ci95):
        ends = f"{formatting.format_ratio_interval(*first.ci95)} 95 %"
    last = len(first.remarks)
    doubts = [", ".join([ends, *first.remarks[:n]]) + "…" * (n < last) for n in range(last, -1, -1)]
    if named.outcome.shows_difference:
        return gain, tuple(doubts)
    return verdict, (*(f"{gain} {doubt}" for doubt in doubts), gain)
