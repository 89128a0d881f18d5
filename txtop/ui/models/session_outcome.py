"""The outcome of one session for the list of sessions: its headline, and its cells.

Pure: made from a session's state. Apart from the list because it takes the whole log, which is read
in the background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import contention, metrics
from txtop.models.builtin import describe_model
from txtop.plan import labels
from txtop.state import fidelity, quality
from txtop.state.ab import ABTest
from txtop.state.ab_wording import word_verdict
from txtop.state.accuracy import name_points
from txtop.state.cell import CellState
from txtop.state.quality import BADGE_ROLES, Quality
from txtop.state.session import SessionState
from txtop.ui.models.ab_comparison import build_ab_comparison
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import CellRow, build_cell_row
from txtop.ui.models.contests import find_varying_lengths, label_length, rank_contests
from txtop.ui.models.standing import SIGNS, Standing


@dataclass(frozen=True)
class OutcomeCell:
    """One cell: the rate as text in `unit`, and as a share of the fastest in that unit.

    `notes` are forms of what its output is worth, or of what is wrong with it, longest first, in
    the colour `role`. An arm of an A/B has its `letter`. `meanings` are the signs in the notes with
    their words.
    """

    name: str
    rate: str
    unit: str
    share: float = 0.0
    half: str = ""
    notes: tuple[str, ...] = ()
    role: str = "muted"
    letter: str = ""
    meanings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedOutcome:
    """The outcome of a session: one value, whose it is, and what its output is worth.

    The value is the ratio of an A/B, or the rate of the fastest cell of one length. `badges` are
    forms of what its output is worth and of a doubt about its rate, longest first, in the colour
    `role`. `verdict` is the sentence of an A/B, in spans of (text, role). `about` says what kind of
    models they are and how large. `meanings` are the signs in the badges with their words. A race
    may have one that `names_nobody`.
    """

    value: str = ""
    name: str = ""
    badges: tuple[str, ...] = ()
    role: str = "muted"
    verdict: tuple[tuple[str, str], ...] = ()
    cells: tuple[OutcomeCell, ...] = ()
    about: str = ""
    meanings: tuple[str, ...] = ()
    names_nobody: bool = False


NO_OUTCOME = ListedOutcome()
DOUBTS: dict[Standing, str] = {
    "saturated": "saturated",
    "busy": "busy",
    "doubtful": "weak",
}


def compute_final_figures(state: SessionState, cache: FrameCache) -> Iterator[None]:
    """Compute the figures that every table has of the cells that are over, a cell at a time."""
    for cell in state.cells.values():
        cache.summarise_final(cell, metrics.choose_headline_metric(cell), state.plan.seed)
        yield


def build_session_outcome(state: SessionState, cache: FrameCache) -> ListedOutcome:
    """Build the outcome of a session that is over, from the final figures in `cache`."""
    return replace(_build_outcome(state, cache), about=_describe_models(state))


def _describe_models(state: SessionState) -> str:
    """Return `decoder, 135 M parameters` for the models that were loaded, in their order."""
    loads = {cell.cell.model: cell.load for cell in state.cells.values() if cell.load is not None}
    described = [describe_model(load.family, load.parameters) for load in loads.values()]
    return "; ".join(dict.fromkeys(described))


def _build_outcome(state: SessionState, cache: FrameCache) -> ListedOutcome:
    references = cache.references(state)
    names = cache.names_apart(state)
    rows = [
        (build_cell_row(state, cell, references.get(cell.cell.id), cache), cell)
        for cell in state.cells.values()
    ]
    measured = [(row, cell) for row, cell in rows if _is_measured(state, row)]
    fastest: dict[str, float] = {}
    for row, cell in measured:
        unit = metrics.get_headline_unit(cell)
        fastest[unit] = max(row.rate_value, fastest.get(unit, 0.0))
    cells = tuple(_build_cell(state, row, cell, names, fastest) for row, cell in rows)
    if state.ab_test is not None:
        return _build_ab_outcome(state, state.ab_test, cells)
    if not measured:
        reason = next((cell.notes[0] for cell in cells if cell.role == "bad" and cell.notes), "")
        return ListedOutcome(name=reason, cells=cells)
    if state.race is not None or state.plan.edge_search is not None:
        return _build_searched_outcome(state, measured, names, cells)
    lengths = find_varying_lengths([cell.cell for _, cell in rows])
    contests = [
        (metrics.get_headline_unit(cell), label_length(cell.cell, lengths)) for _, cell in measured
    ]
    first = rank_contests(contests)[0]
    rivals = [pair for pair, contest in zip(measured, contests, strict=True) if contest == first]
    row, cell = max(rivals, key=lambda pair: pair[0].rate_value)
    return _build_rate(state, row, cell, _name_by_length(names[row.id], first[1]), cells)


def _build_searched_outcome(
    state: SessionState,
    measured: Sequence[tuple[CellRow, CellState]],
    names: dict[str, str],
    cells: tuple[OutcomeCell, ...],
) -> ListedOutcome:
    """Build the outcome of a race or a search: what it names, which need not be the fastest."""
    # Imported late: few sessions are either.
    from txtop.analysis.tuning import find_result
    from txtop.export.text.tuning import format_objective
    from txtop.ui.models.search_outcome import find_searched

    _, searched, size = find_searched(state, find_result(state))
    is_race = state.race is not None
    for row, cell in measured:
        if cell is searched:
            outcome = _build_rate(state, row, cell, size or names[row.id], cells)
            return replace(outcome, value=format_objective(state, cell)) if is_race else outcome
    name = "race" if is_race else "search"
    return ListedOutcome("no result", name, cells=cells, names_nobody=is_race)


def _build_rate(
    state: SessionState,
    row: CellRow,
    cell: CellState,
    name: str,
    cells: tuple[OutcomeCell, ...],
) -> ListedOutcome:
    """Build the outcome that is the rate of one cell."""
    own = quality.get_quality(state, cell.cell.id)
    badges, role = _add_doubt(row, *_format_badge(own))
    rate = f"{row.rate} {metrics.get_headline_unit(cell)}"
    return ListedOutcome(
        rate, name, badges, role, cells=cells, meanings=_list_meanings(own, row.standing)
    )


def _name_by_length(name: str, length: str) -> str:
    """Put the length in front, where it is kept longest: `128 tokens · b4`."""
    own = length.split(" · ")
    return " · ".join(filter(None, [length, *(p for p in name.split(" · ") if p not in own)]))


def _is_measured(state: SessionState, row: CellRow) -> bool:
    """Return whether a cell has a rate; the turns that arms of a stopped A/B took count."""
    ends = ("done",) if state.ab_test is None else ("done", "skipped")
    return row.rate_value > 0 and row.state in ends


def _list_meanings(own: Quality, standing: Standing | None = None) -> tuple[str, ...]:
    """List the signs of a badge, and of a doubt about the rate, with their words."""
    doubt = f"{SIGNS[standing][0]} {DOUBTS[standing]}" if standing and standing in DOUBTS else ""
    return tuple(filter(None, (own.meaning if own.badge in BADGE_ROLES else "", doubt)))


def _format_badge(own: Quality) -> tuple[tuple[str, ...], str]:
    """Format what an output is worth, and its colour; no forms for one that was not judged."""
    if own.badge not in BADGE_ROLES:
        return (), "muted"
    label = own.forms[-1]
    return (label, fidelity.shorten_badge(label)), BADGE_ROLES[own.badge]


def _add_doubt(row: CellRow, badges: tuple[str, ...], role: str) -> tuple[tuple[str, ...], str]:
    """Add to the forms of a badge why the rate is in doubt, if it is: a sign at least."""
    if row.standing is None or row.standing not in DOUBTS:
        return badges, role
    reason = row.note if row.note != "reference" else "" if row.half else "no interval"
    return _join_doubt(row.standing, reason, badges, role)


def _join_doubt(
    standing: Standing, reason: str, badges: tuple[str, ...], role: str
) -> tuple[tuple[str, ...], str]:
    sign, _, doubt_role = SIGNS[standing]
    doubt = f"{sign} {reason}".strip()
    if not badges:
        return tuple(dict.fromkeys([doubt, sign])), doubt_role.removesuffix(".bold")
    forms = f"{badges[0]} {doubt}", f"{badges[0]} {sign}", f"{badges[-1]} {sign}"
    return tuple(dict.fromkeys(forms)), role


def _build_cell(
    state: SessionState,
    row: CellRow,
    cell: CellState,
    names: dict[str, str],
    fastest: dict[str, float],
) -> OutcomeCell:
    name = names[row.id]
    ab_test = state.ab_test
    letter = (
        ab_test.letter(row.id)
        if ab_test is not None and row.id in {arm.id for arm in ab_test.arms}
        else ""
    )
    if not _is_measured(state, row):
        failed = row.state == "failed"
        note = row.note or ("" if row.state == "done" else row.state)
        return OutcomeCell(
            name,
            formatting.MISSING,
            "",
            notes=(note,) if note else (),
            role="bad" if failed else "muted",
            letter=letter,
        )
    unit = metrics.get_headline_unit(cell)
    own = quality.get_quality(state, cell.cell.id)
    notes, role = _add_doubt(row, *_format_badge(own))
    if not notes and row.note not in ("", "reference"):
        notes = (row.note,)
    return OutcomeCell(
        name,
        row.rate,
        unit,
        row.rate_value / fastest[unit],
        row.half,
        (*map(name_points, notes[:1]), *notes),
        role,
        letter,
        _list_meanings(own, row.standing),
    )


def _build_ab_outcome(
    state: SessionState, ab_test: ABTest, cells: tuple[OutcomeCell, ...]
) -> ListedOutcome:
    """Build the outcome of an A/B: the comparison with the largest ratio that has a verdict."""
    names = dict(
        zip((arm.id for arm in ab_test.arms), labels.label_arms(ab_test.arms)[0], strict=True)
    )
    best: tuple[float, str] | None = None
    for arm in ab_test.sequences:
        look = ab_test.look(arm)
        verdict = ab_test.verdict(arm, over=state.is_done)
        if ab_test.explain_no_verdict(arm) or look.interval is None or verdict is None:
            continue
        ratio = word_verdict(ab_test, arm, look, verdict).ratio
        decided = ratio if verdict in ("faster", "slower") else 0.0
        if best is None or decided > best[0]:
            best = decided, arm
    if best is None:
        return ListedOutcome("no verdict", "A/B", cells=cells)
    return _word_comparison(state, ab_test, best[1], names, cells)


def _word_comparison(
    state: SessionState,
    ab_test: ABTest,
    arm: str,
    names: dict[str, str],
    cells: tuple[OutcomeCell, ...],
) -> ListedOutcome:
    view = build_ab_comparison(state, ab_test, arm)
    verdict = ab_test.verdict(arm, over=state.is_done)
    wording = word_verdict(ab_test, arm, ab_test.look(arm), verdict)
    remark = view.cost.remarks[0] if view.cost.remarks else ""
    sentence: list[tuple[str, str]] = []
    if wording.winner:
        sentence.append((f"{formatting.format_ratio(wording.ratio)}  ", "text.bold"))
    sentence.append((wording.claims[0], "text.bold"))
    if remark:
        sentence.append((f", {remark}", view.cost.role))
    if ab_test.busy_blocks:
        sentence.append((f" ({contention.BUSY})", "warn"))
    sentence.append((f"  {view.interval}", "muted"))
    value, name = "no verdict", "A/B"
    if wording.winner:
        winner = ab_test.first.id if verdict == "slower" else arm
        value, name = f"A/B {formatting.format_ratio(wording.ratio)}", names[winner]
    elif verdict == "equivalent":
        value, name = "A/B same", wording.claims[-1].removeprefix("same ")
    own = Quality(None)
    if view.cost.remarks:
        own = quality.get_quality(state, arm, ab_test.first.id)
    badges, role = _format_badge(own)
    standing: Standing | None = "busy" if ab_test.busy_blocks else None
    if standing:
        badges, role = _join_doubt(standing, contention.BUSY, badges, role)
    meanings = _list_meanings(own, standing)
    return ListedOutcome(value, name, badges, role, tuple(sentence), cells, meanings=meanings)
