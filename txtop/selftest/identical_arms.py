"""`txtop selftest --aa`: A/B sessions of identical arms, which should hardly ever name a winner."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from txtop.errors import RunError
from txtop.options import ab_plan
from txtop.plan.plan import Plan
from txtop.runner.control_client import ControlClient
from txtop.runner.spawn import LaunchedRun, read_last_log_line, start_run
from txtop.selftest.overhead import (
    MODEL_DESCRIPTION,
    NEW_TOKENS,
    SEQUENCE_LENGTH,
    THREADS,
    write_model,
)
from txtop.session.follower import Follower
from txtop.state.ab import ABTest
from txtop.system.signals import unwind_on_signals

SESSION_COUNT = 20
BUDGET_S = 12.0
ALLOWED_SHARE = 0.05
POLL_S = 0.1


@dataclass(frozen=True)
class SessionOutcome:
    """The outcome of one session.

    `winner`: its verdict named one. `excludes_one`: its interval saw a difference, however small.
    """

    summary: str
    winner: bool
    excludes_one: bool


@dataclass(frozen=True)
class IdenticalArmsResult:
    """The outcomes of all sessions. At most one in twenty may name a winner."""

    outcomes: tuple[SessionOutcome, ...]

    @property
    def winners(self) -> int:
        return sum(outcome.winner for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        return self.winners <= ALLOWED_SHARE * len(self.outcomes)

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 1

    def format_line(self) -> str:
        """Format the verdict on all sessions for a person."""
        n = len(self.outcomes)
        differing = sum(outcome.excludes_one for outcome in self.outcomes)
        verdict = "pass" if self.passed else "fail"
        return (
            f"{verdict}: {self.winners} of {n} sessions of identical arms named a winner "
            f"(at most {ALLOWED_SHARE * n:g}); the interval of {differing} excluded 1"
        )


def run(*, sessions: int = SESSION_COUNT, say: Callable[[str], None]) -> IdenticalArmsResult:
    """Run the sessions; `say` gets one line for each, then how many named a winner.

    No process is left behind.

    Raises:
        RunError: a session did not run to its end.
    """
    say(f"{sessions} sessions of {MODEL_DESCRIPTION} against itself")
    outcomes: list[SessionOutcome] = []
    with ExitStack() as stack:
        stack.enter_context(unwind_on_signals())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="txtop-selftest-")))
        model = write_model(folder)
        for number in range(1, sessions + 1):
            plan = _build_plan(model, seed=number)
            launched = start_run(plan, session_dir=folder, name=f"aa-{number}", on_hangup="stop")
            outcomes.append(_build_outcome(_follow_to_end(launched)))
            say(f"{number:>3}  {outcomes[-1].summary}")
    result = IdenticalArmsResult(tuple(outcomes))
    say(result.format_line())
    return result


def _build_plan(model: Path, seed: int) -> Plan:
    shared = {
        "weights": "random",
        "device": "cpu",
        "threads": THREADS,
        "sequence_length": SEQUENCE_LENGTH,
        "new_tokens": NEW_TOKENS,
    }
    rules = ab_plan.ABOptions(budget_s=BUDGET_S, seed=seed, fidelity_positions=0)
    return ab_plan.build_ab_plan(str(model), ({}, {}), shared, rules)


def _follow_to_end(launched: LaunchedRun) -> ABTest:
    """Follow a run to its end, and end it if this process is ended."""
    follower = Follower(launched.path, ControlClient(launched.path).tail)
    try:
        while not follower.finished:
            gone = launched.process.poll() is not None
            if not follower.update() and gone:
                break
            time.sleep(POLL_S)
    finally:
        if launched.process.stdin is not None:
            launched.process.stdin.close()
        launched.process.wait()
        follower.close()
    test = follower.state.ab_test
    if test is None or not follower.finished or follower.state.failed:
        raise RunError(f"a session of identical arms failed: {read_last_log_line(launched.path)}")
    return test


def _build_outcome(test: ABTest) -> SessionOutcome:
    (name,) = test.sequences
    verdict = test.verdict(name, over=True)
    return SessionOutcome(
        summary=f"{test.words(name, over=True)}  {test.kept_blocks} blocks",
        winner=verdict in ("faster", "slower"),
        excludes_one=test.sequences[name].excludes_one,
    )
