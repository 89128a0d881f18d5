"""The options of `txtop explain` beside the knobs of its cell, and the plans that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from txtop.errors import UsageError
from txtop.models import model_config
from txtop.options import limits
from txtop.options.ab_options import PicklesOption, RemoteCodeOption
from txtop.options.feasibility import explain_infeasible
from txtop.options.help_groups import LONG, WHAT
from txtop.options.one_cell import build_cell, build_checked_cell
from txtop.options.run_options import build_duration_parameter
from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import DEFAULT_MARGIN, Allowed, Plan

MOST_TRIED = 4
"""Changes that are tried beside the cell: each more widens the intervals of all."""
TRY_BUDGET_S = 60.0


@Parameter(name="*", group=LONG)
@dataclass(frozen=True, kw_only=True)
class ExplainRuleOptions:
    """The rules of an explanation as typed: how long the cell is measured before, and what else."""

    iterations: Annotated[
        int, Parameter(help="most iterations before the explanation; default 3")
    ] = 3
    budget_s: Annotated[
        float, build_duration_parameter("--budget", "time limit of these iterations; default 8")
    ] = 8.0
    try_changes: Annotated[
        bool, Parameter(name="--try", group=WHAT, help="measure each change that is advised")
    ] = False
    nvtx: Annotated[
        bool, Parameter(group=WHAT, help="mark load, requests and steps for another profiler")
    ] = False
    timeout_s: Annotated[
        float | None,
        build_duration_parameter("--timeout", "time limit of each part, loading included"),
    ] = None
    seed: Annotated[int, Parameter(group=WHAT, help="seed of inputs and weights; default 0")] = 0
    allow_pickles: PicklesOption = False
    trust_remote_code: RemoteCodeOption = False


NO_EXPLAIN_RULES = ExplainRuleOptions()


def build_explain_plan(model: str, knobs: Mapping[str, Any], rules: ExplainRuleOptions) -> Plan:
    """Build the plan that measures one cell and explains it.

    Raises `UsageError` for a cell that cannot be measured or has no steps of one size.
    """
    limits.check_rules(rules)
    allowed = Allowed(pickles=rules.allow_pickles, remote_code=rules.trust_remote_code)
    plan = Plan(cells=(), seed=rules.seed, timeout_s=rules.timeout_s, allowed=allowed)
    again = explain_cell_again(plan, build_checked_cell(model, knobs))
    return msgspec.structs.replace(
        again, iterations=rules.iterations, budget_s=rules.budget_s, nvtx=rules.nvtx
    )


def explain_cell_again(plan: Plan, cell: Cell) -> Plan:
    """Build the plan that explains a cell of another session.

    Raises `UsageError` for one that has no steps of one size.
    """
    if cell.serving is not None:
        raise UsageError("requests have steps of many sizes", "txtop explain a full batch of it")
    rules = NO_EXPLAIN_RULES
    return Plan(
        cells=(msgspec.structs.replace(require_explainable(cell), id="c001"),),
        iterations=rules.iterations,
        warmup=2,
        budget_s=rules.budget_s,
        fitted=True,
        seed=plan.seed,
        timeout_s=plan.timeout_s,
        fidelity_positions=0,
        allowed=plan.allowed,
        explain=True,
    )


def require_explainable(cell: Cell) -> Cell:
    """Return `cell`. Raises `UsageError` for one in parts, or whose steps have no one size."""
    if cell.parallel != "none":
        raise UsageError(
            "the parts of a model over several devices are not explained", "--parallel none"
        )
    if cell.speculative != "none":
        raise UsageError(
            "a step of speculative decoding has no one size", "explain it without --speculative"
        )
    return cell


def build_try_plan(
    plan: Plan, cell: Cell, changes: Iterable[Mapping[str, Any]], weights: str
) -> Plan | None:
    """Build the A/B of `cell` and the first feasible `changes` of it; None if there is none.

    `weights` are those that the cell was loaded with: pretrained, partial or random.
    """
    knobs = {
        field: getattr(cell, field)
        for field in cell.__struct_fields__
        if field not in ("id", "alias", "attention_asked", "scenario", "serving")
    }
    arms = [msgspec.structs.replace(cell, id="A")]
    for change in changes:
        if len(arms) > MOST_TRIED:
            break
        arm = build_cell(chr(ord("A") + len(arms)), knobs | dict(change))
        if not explain_infeasible(arm) and model_config.explain_refusal(arm) is None:
            arms.append(arm)
    if len(arms) == 1:
        return None
    return Plan(
        cells=tuple(arms),
        margin=DEFAULT_MARGIN,
        budget_s=TRY_BUDGET_S,
        seed=plan.seed,
        timeout_s=plan.timeout_s,
        allowed=plan.allowed,
        note=_describe_trial(arms, weights),
    )


def _describe_trial(arms: Sequence[Cell], weights: str) -> str:
    """Return what is tried, and whether the weights let its outputs be judged."""
    first, *others = arms
    tried = f"the advice of an explanation, tried with {weights} weights"
    keeps_output = all(references.has_same_output(first, arm) for arm in others)
    if weights != "random" or keeps_output:
        return tried
    return f"{tried}: speeds are real, but what a change of the output costs is not known"
