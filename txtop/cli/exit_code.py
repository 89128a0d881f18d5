"""The exit code of a run by how it ended: one rule for every command that shows a run's end."""

from __future__ import annotations

import errno
import os

from txtop.analysis.edge import Edge, find_edges
from txtop.analysis.tuning import find_result
from txtop.errors import RunError
from txtop.state.accuracy import find_unanswered_tasks
from txtop.state.pending_work import find_unexplained_cells
from txtop.state.session import SessionState

EXIT_FAILED = 1
EXIT_INCONCLUSIVE = 3
EXIT_INTERRUPTED = 130


def choose_exit_code(
    state: SessionState, *, recorded: bool, last_line: str, killed: bool = False
) -> int:
    """Return the exit code of a run that is over; docs/commands.md has the same table.

    What was lost comes before who stopped it, and that before what was measured. `last_line` is the
    last one of the runner's own log, which says nothing of the end of one that was `killed`.

    Raises:
        RunError: the run failed, was not `recorded`, or has no end.
    """
    if state.ended is None:
        why = f"ended before the run was done: {last_line}"
        raise RunError(
            f"the runner {'was killed before the run was done' if killed else why}",
            "txtop resume measures the rest",
        )
    if state.ended.reason == "failed":
        raise RunError(f"the run failed: {last_line}", "runner.log in its session has the rest")
    if not recorded:
        why = (
            "`ulimit -f` bounds it"
            if os.strerror(errno.EFBIG) in last_line
            else "is the disk full?"
        )
        raise RunError("the session was not wholly recorded", f"{last_line}; {why}")
    if state.ended.reason == "stopped":
        return EXIT_INTERRUPTED
    edges = find_edges(state)
    if edges:
        return _judge_edges(edges)
    if state.race is not None:
        return _judge_race(state)
    if state.failed or find_unanswered_tasks(state) or find_unexplained_cells(state):
        return EXIT_FAILED
    return EXIT_INCONCLUSIVE if _is_open(state) else 0


def _judge_edges(edges: list[Edge]) -> int:
    """Return the code of a search: a probe that does not run is an answer, not a failure."""
    if any(edge.largest is None for edge in edges):
        return EXIT_FAILED
    return 0 if all(edge.is_found for edge in edges) else EXIT_INCONCLUSIVE


def _judge_race(state: SessionState) -> int:
    """Return the code of a race: a candidate that leaves it is no failure."""
    result = find_result(state)
    if result is None:
        return EXIT_FAILED
    return EXIT_INCONCLUSIVE if result.outcome.is_inconclusive else 0


def _is_open(state: SessionState) -> bool:
    """Return True for an A/B of which a comparison was not decided."""
    ab_test = state.ab_test
    return ab_test is not None and any(
        ab_test.verdict(n, over=True) == "inconclusive" for n in ab_test.sequences
    )
