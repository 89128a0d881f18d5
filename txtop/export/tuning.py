"""The race of `txtop tune` in the JSON export."""

from __future__ import annotations

from txtop.analysis.tuning import (
    compare_candidates,
    compute_figure,
    compute_gain,
    compute_quantile_ms,
    describe_exceeded,
    explain_departure,
    find_nearest,
    find_result,
    find_unit,
    list_confirmations,
    list_exceeded,
)
from txtop.export.schema import (
    BindingExport,
    CandidateExport,
    ConfirmationExport,
    ExceededExport,
    TuningExport,
)
from txtop.export.snippet import build_program, build_serve_command
from txtop.state.cell import CellState
from txtop.state.race import WHY_WORDS, RaceState
from txtop.state.session import SessionState


def export_tuning(state: SessionState, race: RaceState) -> TuningExport:
    """Export who was raced, who is named, and what binds."""
    result, tuning = find_result(state), race.tuning
    winner = result.winner if result is not None else None
    outcome = result.outcome if result is not None else None
    confirmed = list_confirmations(race, outcome) if outcome is not None else []
    return TuningExport(
        objective=tuning.objective,
        unit=find_unit(tuning.objective, winner),
        margin=tuning.margin,
        default=tuning.default,
        winner=winner.cell.id if winner is not None else None,
        runner_up=outcome.runner_up if outcome is not None else None,
        value=compute_figure(state, winner) if winner is not None else None,
        shows_difference=outcome.shows_difference if outcome is not None else None,
        confirmations=[
            ConfirmationExport(
                against=own.other,
                blocks=own.blocks,
                ratio=own.ratio,
                ci95=own.ci95,
                verdict=own.verdict,
                notes=[*own.remarks, *own.notes],
            )
            for own in confirmed
        ],
        candidates=[_export_candidate(state, race, name, winner) for name in race.race.candidates],
        bindings=[
            BindingExport(
                limit=b.limit,
                cell=b.own.cell.id,
                detail=b.detail,
                ratio=b.ratio[0],
                ci95=b.ratio[1],
            )
            for b in (result.bindings if result is not None else ())
        ],
        nearest=_export_nearest(state),
        measured_s=race.race.spent_s,
        budget_s=race.race.budget_s or None,
        blocks_discarded=race.discarded,
        serve=build_serve_command(winner) if winner is not None else "",
        python=build_program(state, winner) if winner is not None else "",
    )


def _export_nearest(state: SessionState) -> list[ExceededExport]:
    nearest = find_nearest(state)
    if nearest is None:
        return []
    return [
        ExceededExport(
            limit=limit.format(),
            cell=nearest.cell.id,
            detail=describe_exceeded(nearest, limit),
            reached_ms=compute_quantile_ms(nearest, limit),
            most_ms=limit.most_ms,
        )
        for _, limit in list_exceeded(state, nearest.cell.id)
    ]


def _export_candidate(
    state: SessionState, race: RaceState, name: str, winner: CellState | None
) -> CandidateExport:
    own = race.race.candidates[name]
    left = own.left
    ratio, ci95, against_ratio, against_ci95 = None, None, None, None
    if winner is not None:
        ratio, ci95 = compute_gain(compare_candidates(race, name, winner.cell.id))
    if left is not None and left.against:
        against_ratio, against_ci95 = compute_gain(race.race.compare(name, left.against))
    return CandidateExport(
        cell=name,
        left=WHY_WORDS[left.why].short if left is not None else None,
        against=(left.against or None) if left is not None else None,
        detail=explain_departure(state, name),
        blocks=len(own.costs),
        ratio=ratio,
        ci95=ci95 if winner is None or name != winner.cell.id else None,
        against_ratio=against_ratio,
        against_ci95=against_ci95,
    )
