"""Explain models, and compare the time of each module with that of hooks in the same process.

`module_times.py [MODEL ...]`. It takes more passes than an explanation does, so that both repeat
themselves. Exits 1 unless the parts of each step add up to it within 2 %, and each module is within
5 % of the hooks; one that takes less than 1 % of a step, within 5 % of that 1 %. A module on which
two series of hooks are over 5 % apart decides nothing; it is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.explained import explain
from support.module_hooks import HookedExplainer, compare_with_hooks, sum_by_kind
from txtop.analysis.explanation import compute_closure

MODELS = ("gpt2", "bert-base-uncased", "t5-small", "SmolLM2-135M")
LISTED = 3
ROUNDS, PHASE_S = 60, 15.0
MOST_OPEN, MOST_APART = 0.02, 0.05


def measure(model: str) -> bool:
    """Print the sum of the parts, and the modules on which both agree least.

    Return whether all are as near as they must be.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("Explainer", HookedExplainer), ("ROUNDS", ROUNDS), ("PHASE_S", PHASE_S),
        ):  # fmt: skip
            patch.setattr(f"txtop.worker.explain.explain.{name}", value)
        state = explain(patch, model, weights="auto", sequence_length=64, new_tokens=20)
    (explanation,) = state.explanations.values()
    agrees = True
    for phase in explanation.phases:
        compared = compare_with_hooks(phase)
        agrees &= abs(compute_closure(phase) - 1) <= MOST_OPEN
        decided = [one for one in compared if abs(one.own_ratio - 1) <= MOST_APART]
        agrees &= all(abs(one.ratio - 1) <= MOST_APART for one in decided)
        print(
            f"{model} {phase.name}: {phase.step_ns / 1e6:.2f} ms (median"
            f" {phase.median_ns / phase.step_ns:.2f} of it), parts"
            f" {100 * compute_closure(phase):.1f} %, times {phase.scale:.3f}\n"
            f"  {len(compared)} modules over hooks: {_describe([one.ratio for one in compared])}\n"
            f"  hooks over hooks: {_describe([one.own_ratio for one in compared])}",
        )
        for one in (*sum_by_kind(compared), *compared[:LISTED]):
            print(
                f"  {one.ratio:.3f}  {one.path}: {100 * one.share:.2f} % of the step,"
                f" by hooks {100 * one.before:.2f} and {100 * one.after:.2f} %",
                flush=True,
            )
    return agrees


def _describe(ratios: Sequence[float]) -> str:
    within = sum(abs(ratio - 1) <= MOST_APART for ratio in ratios)
    return (
        f"median {median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f},"
        f" {within} of {len(ratios)} within 5 %"
    )


if __name__ == "__main__":
    agreed = [measure(name) for name in sys.argv[1:] or MODELS]
    sys.exit(0 if all(agreed) else 1)
