"""An explanation whose advice is tried: the explained session, then an A/B of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txtop.cli.common import check_detached
from txtop.errors import UsageError

if TYPE_CHECKING:
    from txtop.cli.common import ScreenOptions, StartOptions
    from txtop.plan.plan import Plan


def run_with_trial(plan: Plan, name: str | None, start: StartOptions, screen: ScreenOptions) -> int:
    """Explain the cell of `plan`, then measure what is advised beside it. Return the exit code.

    The A/B is a session of its own, `NAME-try`.
    """
    from txtop.analysis.findings import find_findings, iterate_changes
    from txtop.analysis.trial import format_trial
    from txtop.cli.start import launch_plan
    from txtop.options.explain_options import build_try_plan
    from txtop.runner.liveness import load_session

    if start.detach:
        check_detached(start)
        raise UsageError("--detach and --try contradict each other", "give one of them")
    code, path = launch_plan(plan, name, start, screen)
    if code or path is None:
        return code
    state, _ = load_session(path)
    (own,) = state.cells.values()
    changes = iterate_changes(own.cell, find_findings(state, own))
    weights = own.load.weights if own.load is not None else "unknown"
    trial = build_try_plan(plan, own.cell, changes, weights)
    if trial is None:
        print("nothing to try: no finding names a change that this cell can have")
        return 0
    code, path = launch_plan(trial, f"{path.name}-try", start, screen)
    if path is not None:
        state, _ = load_session(path)
        print("\n".join(["", *format_trial(state)]))
    return code
