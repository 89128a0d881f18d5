"""Try the advice on planted faults in real runs: what cures is shown, a useless change is not.

Each cell has one fault by its own options: a tiny model without compilation, one thread of two,
weights that are dequantised in each call, eager attention over 2,048 positions. A useless change is
added to the advice: the number of threads that the cell has anyway, left to txtop.
`planted_faults.py [FAULT ...]`, by default all. Exits 1 unless each fault stands first, the
advice finds a change that helps, and the useless one is tried and not shown.
"""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import tiny_models
from support.explained import write_gpt2
from txtop.analysis import findings
from txtop.analysis.finding_facts import Facts
from txtop.analysis.finding_rules import RULES, Judgement, Rule
from txtop.analysis.findings import CellFinding, find_findings
from txtop.analysis.trial import format_trial, list_helpful_changes
from txtop.cli.common import ScreenOptions, StartOptions
from txtop.cli.trial import run_with_trial
from txtop.options.explain_options import ExplainRuleOptions, build_explain_plan
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.runner.liveness import load_session
from txtop.system import cpu

USELESS: dict[str, Any] = {"threads": None}


@dataclass(frozen=True)
class Fault:
    """A cell with a fault: the size of its decoder, none for the smallest, and its knobs."""

    size: dict[str, int] | None
    knobs: dict[str, Any] = field(default_factory=dict)


FAULTS = {
    "launch-bound": Fault(None, {"sequence_length": 16, "new_tokens": 16}),
    "threads": Fault({}, {"batch_size": 8, "sequence_length": 32, "new_tokens": 12}),
    # Weights that fit no cache: near its size, what neighbours leave of it decided who is faster.
    "dequantisation": Fault(
        {"width": 1024, "layers": 4},
        {"precision": "int8", "sequence_length": 32, "new_tokens": 12},
    ),
    "kernel": Fault(
        {"width": 128, "layers": 2, "positions": 2112},
        {"attention": "eager", "sequence_length": 2048, "new_tokens": 4},
    ),
}


def advise_the_useless(_: Facts) -> Judgement:
    return Judgement(0.0, "planted", (USELESS,))


def explain_and_try(name: str, fault: Fault, folder: Path) -> bool:
    """Run the command, print what it found, and return whether that is what was planted."""
    model = folder / name
    if fault.size is None:
        tiny_models.gpt2(model, weights=False)
    else:
        write_gpt2(model, **fault.size)
    knobs = {"threads": cpu.choose_thread_count(), "weights": "random"} | fault.knobs
    plan = build_explain_plan(str(model), knobs, ExplainRuleOptions(try_changes=True))
    start = StartOptions(session_dir=folder / "sessions", headless=True)
    with redirect_stdout(io.StringIO()), pytest.MonkeyPatch.context() as patch:
        useless = Rule("useless", "a useless change", "always", advise_the_useless)
        patch.setattr(findings, "RULES", (*RULES, useless))
        run_with_trial(plan, name, start, ScreenOptions())
        state, _ = load_session(folder / "sessions" / name)
        reasons = find_findings(state, state.cells["c001"])
    trial, _ = load_session(folder / "sessions" / f"{name}-try")
    print(f"\n{name}: {', '.join(f'{one.rule} {one.cost:.2f}' for one in reasons)}")
    print("\n".join(format_trial(trial)))
    assert trial.ab_test is not None
    arms = trial.ab_test.arms
    names = dict(zip(labels.label_arms(arms)[0], arms, strict=True))
    helpful = [names[change.label] for change in list_helpful_changes(trial)[0]]
    verdicts = {
        "stands first": reasons[0].rule == name,
        "a change of its own helps": any(comes_of(reasons[0], arm) for arm in helpful),
        "the useless one is tried": any(is_useless(arm) for arm in arms),
        "and is not shown": not any(is_useless(arm) for arm in helpful),
    }
    print("; ".join(f"{text}: {'yes' if holds else 'NO'}" for text, holds in verdicts.items()))
    return all(verdicts.values())


def comes_of(finding: CellFinding, arm: Cell) -> bool:
    """Return whether a finding advised what an arm is."""
    return any(has_knobs(arm, change) for change in finding.changes)


def is_useless(arm: Cell) -> bool:
    return has_knobs(arm, USELESS)


def has_knobs(arm: Cell, change: Any) -> bool:
    return all(getattr(arm, knob) == value for knob, value in change.items())


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        judged = [explain_and_try(name, FAULTS[name], Path(folder)) for name in names]
    print(f"\n{sum(judged)} of {len(judged)} as planted")
    return 0 if all(judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(FAULTS)))
