"""Build the part of the export that states the accuracy in tasks."""

from __future__ import annotations

import msgspec

from txtop.export.schema import AccuracyExport, ChangedItemExport
from txtop.state import accuracy
from txtop.state.accuracy import AccuracyDifference
from txtop.state.session import SessionState


def export_accuracy(
    state: SessionState, name: str, against: str | None = None
) -> list[AccuracyExport]:
    """Return the accuracy of a cell in each task that it answered, beside that of its reference.

    The cells of an A/B have it beside nothing; its comparisons, `against` the first arm, do.
    """
    is_alone = state.ab_test is not None and against is None
    differences = [] if is_alone else accuracy.list_differences(state, name, against)
    by_task = {difference.task.name: difference for difference in differences}
    exports = []
    for task in state.plan.tasks:
        difference = by_task.get(task.name)
        own = name if difference is None else difference.cell
        score = accuracy.find_score(state, own, task)
        if score is None or (against is not None and difference is None):
            continue
        export = AccuracyExport(
            task=task.name,
            kind=task.kind,
            sha256=task.sha256,
            items=task.items,
            answered=score.n,
            accuracy=accuracy.compute_reached(state, own, task),
            failed=score.ending.failed if score.ending else "",
        )
        exports.append(export if difference is None else _add(state, export, difference))
    return exports


def _add(
    state: SessionState, export: AccuracyExport, difference: AccuracyDifference
) -> AccuracyExport:
    return msgspec.structs.replace(
        export,
        reference=difference.reference,
        reference_accuracy=difference.reference_score,
        difference=difference.difference,
        ci95=difference.interval,
        compared=difference.n,
        gained=difference.gained,
        lost=difference.lost,
        margin=difference.margin,
        deciding_items=difference.needed,
        verdict=difference.band,
        reason=difference.reason,
        changed=[
            ChangedItemExport(
                line=item.line,
                asked=item.asked,
                right=item.right,
                reference_answer=item.reference_answer,
                answer=item.answer,
                gained=item.gained,
            )
            for item in accuracy.list_changed_items(state, difference)
        ],
    )
