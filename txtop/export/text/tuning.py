"""The result of `txtop tune` as printed lines: what to deploy, how sure that is, and what binds."""

from __future__ import annotations

from collections import Counter

import msgspec

from txtop.analysis.tuning import (
    TuneResult,
    compute_figure,
    compute_peak_bytes,
    describe_context,
    describe_exceeded,
    describe_reached,
    find_nearest,
    find_result,
    find_unit,
    list_confirmations,
    list_exceeded,
    summarise_energy,
)
from txtop.formatting import (
    format_clock,
    format_count,
    format_figure,
    format_gibs,
    format_ratio_interval,
    format_rough_ratio,
    format_typed_size,
    is_rough,
)
from txtop.options.command_line import format_cell_command
from txtop.plan import labels
from txtop.plan.plan import Plan
from txtop.plan.tuning import OBJECTIVES, Tuning
from txtop.sanitise import sanitise
from txtop.state import quality
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.race import WHY_WORDS, RaceState, put_departed
from txtop.state.session import SessionState
from txtop.stats.intervals import Interval
from txtop.stats.race import Race, choose_arms, is_confirming
from txtop.units import NS_PER_S

USES = ("measure again", "serve", "program", "plan")
"""The titles of the commands that use a winner."""
HOLDS = "holds however often you check"


def format_tuning(state: SessionState) -> list[str]:
    """Format what a session recommends; no lines of one that tunes nothing."""
    race = state.race
    if race is None:
        return []
    result = find_result(state)
    lines = [f"{_format_goal(state, race.tuning)}:"]
    if result is None:
        lines.append(f"  {summarise_result(state, race)}")
        lines += [f"  {line}" for line in explain_absence(state, race)]
    else:
        lines += [f"  {line}" for line in _format_result(state, race, result)]
    if state.has_random_weights(state.plan.cells[0].id):
        unjudged = "  not judged, as the weights are random"
        lines += [f"{unjudged}: {floor}" for floor in _name_floor(race.tuning)]
    return lines + [f"  {line}" for line in _format_course(state, race)]


def summarise_result(state: SessionState, race: RaceState) -> str:
    """Format in one line who is named and how sure that is, or that nobody is."""
    result = find_result(state)
    if result is None:
        timed = [name for name, own in race.race.candidates.items() if own.costs]
        why = "none that was measured is left" if timed else "nothing was measured"
        if timed and not any(map(race.race.keeps_limits, timed)):
            why = "none keeps the limits"
        return f"no configuration can be named: {why}"
    winner = result.winner
    led = " led" if state.ended is not None and state.ended.reason == "stopped" else ""
    today = " (today's default)" if winner.cell.id == race.tuning.default else ""
    named = f"{sanitise(name_candidate(state, winner))}{today}{led}"
    return (
        f"{named}  {format_objective(state, winner)}".rstrip()
        + f"  {format_verdict(state, result)}"
    )


def explain_absence(state: SessionState, race: RaceState) -> list[str]:
    """Return why today's default did not run, if it did not, and who is nearest to the limits."""
    own, nearest, lines = state.cells.get(race.tuning.default), find_nearest(state), []
    if own is not None and own.reason and own.status in FAILED_STATUSES:
        lines.append(f"today's default: {sanitise(own.reason)}")
    if nearest is not None:
        over = list_exceeded(state, nearest.cell.id)
        exceeded = "; ".join(describe_exceeded(nearest, limit) for _, limit in over)
        lines.append(f"nearest: {sanitise(name_candidate(state, nearest))}, {exceeded}")
    return lines


def _format_goal(state: SessionState, tuning: Tuning) -> str:
    model = sanitise(state.plan.cells[0].model_name)
    parts = [f"{OBJECTIVES[tuning.objective].goal} of {model}"]
    parts += [limit.format() for limit in tuning.limits]
    # Random weights have no quality that a floor could hold.
    if not state.has_random_weights(state.plan.cells[0].id):
        parts += _name_floor(tuning)
    if tuning.memory_bytes is not None:
        parts.append(f"in {format_typed_size(tuning.memory_bytes)}")
    return ", ".join(parts)


def _name_floor(tuning: Tuning) -> list[str]:
    if tuning.floor_kld is not None:
        return [f"at most {tuning.floor_kld:g} nats from the reference (mean KLD)"]
    return [f"quality at least {tuning.floor}"] if tuning.floor is not None else []


def name_candidate(state: SessionState, own: CellState) -> str:
    """Name a candidate by what tells it from the others."""
    return labels.name_apart([c.cell for c in state.cells.values()])[own.cell.id]


def format_objective(state: SessionState, own: CellState) -> str:
    """Format the objective of a candidate with its unit; empty if it has none."""
    tuning, figure = state.plan.tuning, compute_figure(state, own)
    if tuning is None or figure is None:
        return ""
    return f"{format_figure(figure)} {find_unit(tuning.objective, own)}"


def describe_winner(state: SessionState, own: CellState) -> str:
    """Describe a configuration in one line, with what it reached."""
    figure = format_objective(state, own)
    label = labels.format_short_label(own.cell)
    return sanitise(f"{label}: {figure} here" if figure else label)


def format_verdict(state: SessionState, result: TuneResult) -> str:
    """Format in a few words what was shown."""
    outcome = result.outcome
    if outcome.shows_difference:
        return "confirmed"
    if outcome.gain == "slower":
        return f"slower than today's default, which does not keep {_name_broken(state)}"
    if outcome.gain is None and outcome.close is None:
        if state.ended is None:
            return "not judged yet"
        # One that has no block yet is in as well, if the race was stopped.
        is_alone = state.race is None or len(state.race.race.running) < 2
        return "not confirmed" if outcome.is_unconfirmed or not is_alone else "the only one left"
    assert state.race is not None
    if outcome.winner == state.race.tuning.default:
        return "no difference shown"
    if outcome.gain is None:
        return "no difference shown: not compared with today's default"
    if broken := _name_broken(state):
        return f"no difference shown, but today's default does not keep {broken}"
    return "no difference shown: today's default may stay"


def _name_broken(state: SessionState) -> str:
    """Name the limits that today's default does not keep."""
    assert state.race is not None
    tuning = state.race.tuning
    calls = state.race.race.candidates[tuning.default].calls
    pairs = zip(tuning.limits, calls, strict=True)
    return " and ".join(limit.format() for limit, own in pairs if not own.is_kept(limit.share))


def _format_result(state: SessionState, race: RaceState, result: TuneResult) -> list[str]:
    winner = result.winner
    lines = [summarise_result(state, race)]
    used = summarise_energy(state, winner) if race.tuning.objective == "energy" else None
    if used is not None and used.mean is None:
        lines.append(f"no {used.unit}: {', '.join(used.notes)}")
    lines += format_confirmations(state, race, result)
    confirmed = list_confirmations(race, result.outcome)
    lines += dict.fromkeys(note for own in confirmed for note in own.notes)
    kept = [describe_reached(winner, limit) for limit in race.tuning.limits]
    own = quality.get_quality(state, winner.cell.id)
    if own.badge != "unknown" and own.list_events(state):
        kept.append(f"output {own.forms[0]}")
    if (peak := compute_peak_bytes(winner)) is not None:
        took, asked = format_gibs(peak, race.tuning.memory_bytes)
        of_asked = f" of {asked}" if race.tuning.memory_bytes is not None else ""
        kept.append(f"memory {took}{of_asked} GiB{describe_context(winner)}")
    if kept:
        lines.append("keeps: " + ", ".join(kept))
    if own.badge == "unknown" and not state.has_random_weights(winner.cell.id):
        lines.append(f"output {own.forms[0]}")
    return lines + format_bindings(state, result)


def format_bindings(state: SessionState, result: TuneResult) -> list[str]:
    """Format the nearest candidate beyond each limit, and what it would bring."""
    assert state.race is not None
    lines, tuning = [], state.race.tuning
    for binding in result.bindings:
        beyond, detail = sanitise(name_candidate(state, binding.own)), sanitise(binding.detail)
        gain, than = binding.speed, "today's default"
        if gain[0] is None or binding.own.cell.id == tuning.default:
            gain, than = binding.ratio, sanitise(name_candidate(state, result.winner))
        bound = f"{beyond} ({detail}), its speed was not measured"
        if gain[0] is not None:
            bound = f"{beyond} would be {_format_gain(tuning, f' as {than}', *gain)} ({detail})"
        if binding.own is result.winner:
            bound = detail
        lines.append(f"limited by {binding.limit}: {bound}")
    return lines


def format_confirmations(state: SessionState, race: RaceState, result: TuneResult) -> list[str]:
    """Format the comparisons of the winner with fresh blocks, the one with the default first."""
    lines = []
    for own in list_confirmations(race, result.outcome):
        blocks = format_count(own.blocks, "block")
        surely = f"95 %, {', '.join(own.remarks or [HOLDS])}"
        surely = "too few for an interval" if is_rough(own.ci95) else surely
        other = sanitise(name_candidate(state, state.cells[own.other]))
        who = f"{name_role(race, own.other)}, {other}"
        gain = _format_gain(race.tuning, f" as {who}", own.ratio, own.ci95)
        if own.verdict is None:
            lines.append(f"{gain}  {blocks}, not judged yet")
            continue
        is_open = own.verdict in ("equivalent", "inconclusive")
        # Where that is the whole outcome the first line has said it.
        if is_open and result.outcome.shows_difference:
            gain = _format_gain(race.tuning, "", own.ratio, own.ci95)
            gain = f"no difference shown against {who}: {gain}"
        lines.append(f"{gain}  {blocks}  {surely}")
    return lines


def name_role(race: RaceState, name: str) -> str:
    """Name what the winner was confirmed against: today's default, or the runner-up."""
    return "today's default" if name == race.tuning.default else "the runner-up"


def format_as_good(tuning: Tuning, ratio: float, interval: Interval | None) -> str:
    """Format a ratio in the words of the objective: `1.16x as cheap`."""
    return f"{format_rough_ratio(ratio, interval)} {OBJECTIVES[tuning.objective].as_good}"


def _format_gain(tuning: Tuning, than: str, ratio: float, interval: Interval | None) -> str:
    """Format `1.16x as cheap as today's default [1.02, 1.31]`; `≈2x` where that says too little.

    `than` begins with ` as `, or is empty.
    """
    ends = format_ratio_interval(*interval) if interval and not is_rough(interval) else ""
    return f"{format_as_good(tuning, ratio, interval)}{than} {ends}".rstrip()


def _format_course(state: SessionState, race: RaceState) -> list[str]:
    candidates = race.race.candidates.values()
    whys = Counter(own.left.why for own in candidates if own.left is not None)
    parts = [f"{count} {put_departed(WHY_WORDS[why].full, count)}" for why, count in whys.items()]
    timed = [name for name in race.race.running if race.race.candidates[name].costs]
    over = sum(not race.race.keeps_limits(name) for name in timed)
    done = state.ended is not None and state.ended.reason == "done"
    parts.append(f"{len(timed) - over} {'remaining' if done else 'still in'}")
    parts += [f"{over} over a limit so far"] if over else []
    if untimed := len(race.race.running) - len(timed):
        parts.append(f"{untimed} not timed")
    took = format_spent(race)
    if race.discarded:
        took += f", {format_count(race.discarded, 'block')} discarded"
    if state.ended is not None:
        took += f", {format_clock(state.clock_ns)} in all"
    return [f"race: {format_count(len(candidates), 'candidate')}: {', '.join(parts)}; {took}"]


def format_spent(race: RaceState) -> str:
    """Format the time measured so far, of the budget that was given or that the race has found."""
    spent_s, budget_s = race.race.spent_s, race.race.budget_s
    # Rounded, so that what exceeds a budget of seconds is seen.
    spent, over_s = format_clock(round(spent_s) * NS_PER_S), round(spent_s - budget_s)
    if budget_s and over_s > 0:
        return f"{spent} measured, {format_clock(over_s * NS_PER_S)} over budget"
    of_budget = f" of {format_clock(budget_s * NS_PER_S)}" if budget_s else ""
    return f"{spent}{of_budget} measured"


def describe_stage(race: Race) -> str:
    """Describe what a race does: `round 3`, or `confirming, block 2`."""
    if not is_confirming(race):
        return f"round {race.round + 1}"
    confirmation = race.find_confirmation(choose_arms(race))
    return "confirming" + (f", block {len(confirmation.blocks)}" if confirmation else "")


def describe_course(race: RaceState) -> str:
    """Describe in a line how far a race is."""
    at = race.race
    parts = [describe_stage(at)]
    if not is_confirming(at):
        parts.append(f"{len(at.running)} of {len(at.candidates)} still in")
    parts.append(format_spent(race))
    if race.discarded:
        parts.append(f"{format_count(race.discarded, 'block')} discarded")
    return ", ".join(parts)


def format_use(state: SessionState, serve: str, name: str, *, has_program: bool) -> list[str]:
    """Format how the winner of the session `name` is used; `serve` is its server's command."""
    result = find_result(state)
    if result is None or state.ended is None:
        return []
    lines = [f"measure again: {format_cell_command(_strip(state), result.winner.cell)}"]
    lines += [f"serve: {serve}"] if serve else []
    if name:
        lines += [f"program: txtop export {name} --format python"] * has_program
        lines.append(f"plan: txtop export {name} --format plan")
    return [f"  {sanitise(line, 2_000)}" for line in lines]


def _strip(state: SessionState) -> Plan:
    """Return the plan without what is the race's own."""
    return msgspec.structs.replace(state.plan, tuning=None, profile="gpu")
