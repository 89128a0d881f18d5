"""Fold the events of cells that take turns: the arms of an A/B, the candidates of a race."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import takewhile

from txtop.plan import labels
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state import disturbed_blocks
from txtop.state.cell import CellStage
from txtop.state.session import SessionState

# Ended the candidates of a race that did not come to its own end, until it goes on.
STOP = "stop"


def begin_race(session: SessionState, plan: Plan) -> None:
    """Begin the race of a plan that tunes; others have none."""
    if plan.tuning is not None:
        # Imported late: few sessions are races, and what one needs is a tenth of all.
        from txtop.state.race import RaceState

        session.race = RaceState.of(plan)


def fold_race_block(session: SessionState, event: events.RaceBlock) -> None:
    """Fold a block of a race; iterations of one that does not count are discarded.

    What a confirmation has measured in fresh processes replaces the figures of the race.
    """
    race = session.race
    if race is None or not event.iterations.keys() <= session.cells.keys():
        return
    turns = [(session.cells[name], places) for name, places in event.iterations.items()]
    if not all(places and max(places) < len(state.samples) for state, places in turns):
        return
    for state, places in turns:
        disturbed_blocks.add_turns(state, event, places)
    # On a busy machine blocks are repeated and kept by turns: each fate is news once a stretch.
    stretch = takewhile(lambda block: block.contention, reversed(race.blocks))
    before = next((block for block in stretch if block.kept == event.kept), None)
    if race.add(event, session.cells) and event.stage == "confirm":
        confirmation = race.race.find_confirmation(event.iterations)
        if confirmation is not None and len(confirmation.blocks) == 1:
            for state, places in turns:
                state.samples.since = min(places)
    reasons, discarded = ", ".join(event.reasons), race.discarded
    if event.reasons and not (before is not None and event.contention):
        fate = "kept on a busy machine" if event.kept else "discarded"
        session.say(f"block {fate}: {reasons}", "warning")
    elif not event.kept and discarded % 10 == 0:
        session.say(f"{discarded} blocks discarded so far, the last: {reasons}", "warning")


def fold_ab_block(session: SessionState, event: events.ABBlock) -> None:
    """Fold a block of an A/B; iterations of one that does not count are discarded."""
    if session.ab_test is None or not event.iterations.keys() <= session.cells.keys():
        return
    times: dict[str, list[float]] = {}
    for name, places in event.iterations.items():
        cell = session.cells[name]
        samples = cell.samples
        complete = [i for i in places if i < len(samples)]
        disturbed_blocks.add_turns(cell, event, complete)
        if event.kept and event.ends_start and samples.start_ends is not None:
            samples.start_ends += (len(samples),)
        times[name] = [samples.e2e_ns[i] / cell.count_work(i) for i in complete]
    before = session.ab_test.blocks[-1] if session.ab_test.blocks else None
    line = session.ab_test.add(event, times)
    news = not disturbed_blocks.is_same_trouble(before, event)
    if event.kept and event.contention and news:
        session.say(f"block kept on a busy machine: {', '.join(event.reasons)}", "warning")
    if line and (event.kept or news):
        session.say(line, "info" if event.kept else "warning")


def has_left(session: SessionState, name: str) -> bool:
    """Return True if a candidate is out of the race, of which a line says why."""
    own = session.race.race.candidates.get(name) if session.race is not None else None
    return own is not None and own.left is not None


def fold_standing(session: SessionState, event: events.Standing) -> None:
    """Fold that a candidate leaves, or comes back."""
    if session.race is None or event.cell not in session.cells:
        return
    session.race.stand(event)
    if not event.why:
        session.say("back in the race", cell=event.cell)
        return
    session.working.discard(event.cell)
    session.say(_word_departure(session, event), cell=event.cell)


def _word_departure(session: SessionState, event: events.Standing) -> str:
    """Word that a candidate leaves: who beat it, named as the log does, or which bound it broke."""
    from txtop.state.race import WHY_WORDS, WhyWords

    wording = WHY_WORDS.get(event.why) or WhyWords(event.why, event.why)
    if event.against not in session.cells or not wording.beaten:
        return f"left the race: {', '.join(filter(None, (wording.short, event.detail)))}"
    names = labels.name_apart([state.cell for state in session.cells.values()])
    return f"left the race: {wording.beaten.format(names[event.against])}"


def continue_cell(session: SessionState, event: events.CellStarted) -> None:
    """Continue a cell in another worker, with what was measured of it so far.

    The open iteration is lost. One that was not at work is a new object, so that an older snapshot
    of it stays true.
    """
    state = session.cells[event.cell]
    if event.cell not in session.working:
        state = replace(
            state,
            samples=copy.deepcopy(state.samples),
            blocks=list(state.blocks),
            open_gaps_ns=state.open_gaps_ns[:],
            finished=None,
        )
        session.cells[event.cell] = state
        session.working.add(event.cell)
    elif not session.keeps_measured:
        session.say("a fresh worker is loaded", "warning", event.cell)
    session.current = event.cell
    state.worker, state.stage, state.progress = event.worker, "loading", None
    state.shares_weights = event.shares_weights
    if event.shares_weights:
        state.load = session.loads.get(state.cell.group, state.load)
    state.open_index = -1
    del state.open_gaps_ns[:]


def list_endings(
    session: SessionState, stopped_by: str, t_ns: int = 0
) -> list[events.CellFinished]:
    """List the ends of the candidates of a race that have none: of all that were measured, and of
    those without a figure that are out.
    """
    if session.race is None:
        return []
    from txtop.state.race import WHY_WORDS

    endings = []
    for name, state in session.cells.items():
        n, left = len(state.samples.kept()), session.race.race.candidates[name].left
        if state.over or not (n or left):
            continue
        reason = "" if n or left is None else left.detail or WHY_WORDS[left.why].full
        endings.append(
            events.CellFinished(
                t_ns=t_ns, cell=name, status="ok" if n else "skipped", stopped_by=stopped_by, n=n,
                reason=reason,
            )
        )  # fmt: skip
    return endings


def reopen_candidates(session: SessionState) -> None:
    """Take back that candidates ended with their race, which goes on."""
    for name, state in session.cells.items() if session.race is not None else ():
        if state.finished is not None and state.finished.stopped_by == STOP:
            stage: CellStage = "measuring" if state.measured_from_ns else "waiting"
            session.cells[name] = replace(state, finished=None, stage=stage, ended_at_ns=0)


def discard_open_blocks(session: SessionState) -> None:
    """Discard the iterations of a block that has no end: the run was killed in it."""
    race, ab_test = session.race, session.ab_test
    blocks: list[events.RaceBlock | events.ABBlock] = []
    blocks += race.blocks if race is not None else ab_test.blocks if ab_test is not None else []
    for name in session.working if session.takes_turns else ():
        samples = session.cells[name].samples
        ends = (b.iterations[name][-1] + 1 for b in reversed(blocks) if b.iterations.get(name))
        open_ = range(next(ends, 0), len(samples))
        samples.discarded.update(i for i in open_ if samples.role[i] == "measured")
