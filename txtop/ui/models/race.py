"""The race of `txtop tune` on the screen: who is in it, who left and why, and what it has cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from txtop import formatting
from txtop.analysis.tuning import (
    TuneResult,
    compare_candidates,
    compute_gain,
    compute_peak_bytes,
    describe_exceeded,
    explain_departure,
    find_nearest,
    find_result,
    list_exceeded,
)
from txtop.export.text import tuning as wording
from txtop.plan.tuning import OBJECTIVES
from txtop.state import fidelity, quality
from txtop.state.race import WHY_WORDS, RaceState, put_departed
from txtop.state.session import SessionState
from txtop.stats.candidate import Candidate
from txtop.stats.departure import BEATEN


@dataclass(frozen=True)
class CandidateRow:
    """One candidate: its name, its place beside the leader, its memory, and its output's badge in
    forms from the longest to the shortest.

    `leads` marks the leader, the winner once there is one, `keeps` those that keep the limits so
    far. `ratio` is how many times as good as the leader it is, from `low` to `high`, each None
    until known. `limited` is what it reaches of the limit that it is furthest beyond so far. `why`
    is the reason for which it left, empty while it is in, and `why_role` its colour.
    """

    name: str
    leads: bool
    keeps: bool
    is_default: bool
    running: bool
    ratio: float | None
    low: float | None
    high: float | None
    figure: str
    gib: str
    output: tuple[str, ...]
    output_role: str
    limited: str
    why: str
    why_role: str
    blocks: int


@dataclass(frozen=True)
class RaceView:
    """The race: the candidates, the leaders first and those that left last, and its course.

    `verdict` are the lines of the outcome, empty before the confirmation begins unless nobody keeps
    the limits; `role` is the colour of the first.
    """

    goal: str
    stage: str
    rows: tuple[CandidateRow, ...]
    running: int
    count: int
    departures: tuple[tuple[str, int], ...]
    spent: str
    verdict: tuple[str, ...]
    role: str
    margin: float

    @property
    def has_axis(self) -> bool:
        """Return whether two that are in have a ratio."""
        return sum(row.ratio is not None and not row.why for row in self.rows) > 1

    @property
    def row_count(self) -> int:
        """Return the rows of all of it: the outcome, how far it is, the candidates, the axis."""
        return len(self.verdict) + 1 + len(self.rows) + self.has_axis


def build_race(state: SessionState, names: Mapping[str, str]) -> RaceView | None:
    """Build the race of a session, None without one; `names` tell its cells apart."""
    if state.race is None:
        return None
    race = state.race
    result = find_result(state)
    leader = result.winner.cell.id if result is not None else None
    # In the order of the race where nobody leads, and of those with one ratio.
    order = [race.race.candidates[name] for name in race.race.rank()]
    order += [own for own in race.race.candidates.values() if own.left is None and not own.costs]
    out = _order_departed(race.race.candidates.values(), race.tuning.default)
    rows = [_build_row(state, race, own, leader, names) for own in order]
    rows.sort(key=lambda row: (not row.leads, -(row.ratio or 0.0)))
    rows += [_build_row(state, race, own, leader, names) for own in out]
    departures = Counter(own.left.why for own in out if own.left is not None)
    verdict, role = _build_verdict(state, race, result)
    return RaceView(
        goal=_format_goal(race),
        stage=_describe_stage(state, race),
        rows=tuple(rows),
        running=len(order),
        count=len(race.race.candidates),
        departures=tuple(
            (put_departed(WHY_WORDS[why].short, count), count) for why, count in departures.items()
        ),
        spent=wording.format_spent(race),
        verdict=verdict,
        role=role,
        margin=race.tuning.margin,
    )


def _order_departed(candidates: Iterable[Candidate], default: str) -> list[Candidate]:
    """Return those that left: today's default, one of each reason, then the latest first."""
    out = [(own.left.why, own) for own in candidates if own.left is not None]
    out.sort(key=lambda pair: (-pair[1].left_round, pair[1].name))
    first = dict(reversed(out))
    out.sort(key=lambda pair: (pair[1].name != default, first[pair[0]] is not pair[1]))
    return [own for _, own in out]


def _format_goal(race: RaceState) -> str:
    limits = [limit.format() for limit in race.tuning.limits]
    return ", ".join([OBJECTIVES[race.tuning.objective].goal, *limits])


def _describe_stage(state: SessionState, race: RaceState) -> str:
    if state.ended is not None:
        return "finished" if state.ended.reason == "done" else "stopped"
    if not any(own.costs for own in race.race.candidates.values()):
        return "comparing outputs" if state.comparing is not None else "admitting"
    return wording.describe_stage(race.race)


def _build_verdict(
    state: SessionState, race: RaceState, result: TuneResult | None
) -> tuple[tuple[str, ...], str]:
    """Build the lines of the outcome, once a confirmation has blocks or nobody keeps the limits."""
    if result is None:
        absence = wording.explain_absence(state, race)
        if state.ended is not None:
            return (wording.summarise_result(state, race), *absence), "bad"
        is_over = find_nearest(state) is not None
        return ("nobody keeps the limits so far", *absence) if is_over else (), "warn"
    if race.race.find_confirmation(result.outcome.arms) is None and state.ended is None:
        return (), "text.bold"
    name = wording.name_candidate(state, result.winner)
    figure = wording.format_objective(state, result.winner)
    word = wording.format_verdict(state, result)
    lines = [f"{name}  {figure}  {word}"]
    lines += wording.format_confirmations(state, race, result)
    if state.ended is not None:
        lines += wording.format_bindings(state, result)
    return tuple(lines), "ok" if result.outcome.shows_difference else "text.bold"


def _build_row(
    state: SessionState,
    race: RaceState,
    own: Candidate,
    leader: str | None,
    names: Mapping[str, str],
) -> CandidateRow:
    cell = state.cells[own.name]
    ratio, interval = None, None
    if own.name == leader:
        ratio = 1.0
    elif leader is not None:
        ratio, interval = compute_gain(compare_candidates(race, own.name, leader))
    low, high = interval or (None, None)
    judged = quality.get_quality(state, own.name)
    is_judged = judged.badge == "unknown" or bool(judged.list_events(state))
    exceeded = list_exceeded(state, own.name)
    is_no_fault = own.left is not None and own.left.why in (*BEATEN, "skipped")
    # The rate of one that left is of another time than the leader's.
    is_stated = own.left is None or leader is None
    return CandidateRow(
        name=names.get(own.name, own.name),
        leads=own.name == leader,
        keeps=race.race.keeps_limits(own.name),
        is_default=own.name == race.tuning.default,
        running=own.name == state.current and state.ended is None,
        ratio=ratio,
        low=low,
        high=high,
        figure=wording.format_objective(state, cell) if own.costs and is_stated else "",
        gib=formatting.format_gib(peak) if (peak := compute_peak_bytes(cell)) else "",
        output=(*judged.forms, fidelity.shorten_badge(judged.forms[-1])) if is_judged else (),
        output_role=quality.BADGE_ROLES.get(judged.badge, "text") if is_judged else "muted",
        limited=describe_exceeded(cell, exceeded[0][1]) if exceeded else "",
        why=_describe_departure(state, own),
        why_role="muted" if is_no_fault else "warn",
        blocks=len(own.costs),
    )


def _describe_departure(state: SessionState, own: Candidate) -> str:
    if own.left is None:
        return ""
    why, detail = WHY_WORDS[own.left.why], explain_departure(state, own.name)
    return f"{why.short}: {detail}" if detail and not why.beaten else why.short
