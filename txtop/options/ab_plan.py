"""The arms of an A/B as typed (`precision=bf16,threads=2`), and the plan made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.models import model_config
from txtop.models.model_path import make_absolute
from txtop.models.quantised import suggest_precision
from txtop.options import limits
from txtop.options.feasibility import explain_infeasible, explain_refused
from txtop.options.one_cell import Values, build_cell, check_knobs
from txtop.options.tasks import require_answerable
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.plan import DEFAULT_MARGIN, MAX_STARTS, Allowed, Plan, Profile
from txtop.plan.task import DEFAULT_ACCURACY_MARGIN, TaskSpec
from txtop.stats.sequential import FIRST_LOOK_STARTS

DEFAULT_BUDGET_S = 120.0
MAX_ARMS = 8
DEFAULT_ARMS = ({"precision": "fp32"}, {"precision": "bf16"})
FIELDS = tuple(BY_FIELD)


@dataclass(frozen=True, kw_only=True)
class ABOptions:
    """The rules of an A/B: how long it runs and what it decides; `None` for an option not given.

    `margin` is a share of 1. `blocks` is an exact number, `budget_s` the time of all arms together;
    at most one of them is given. Each of several `starts` has its part of the time, or the blocks.
    """

    margin: float = DEFAULT_MARGIN
    budget_s: float | None = None
    blocks: int | None = None
    starts: int = 1
    warmup: int | None = None
    timeout_s: float | None = None
    cost_per_hour: float | None = None
    seed: int = 0
    fidelity_positions: int | None = None
    tasks: tuple[TaskSpec, ...] = ()
    accuracy_margin: float | None = None
    profile: Profile = "gpu"
    allowed: Allowed = field(default_factory=Allowed)


def parse_arm(option: str, text: str) -> dict[str, Any]:
    """Return the knobs of one arm, by field. Raises `UsageError` for an unknown knob or value."""
    knobs: dict[str, Any] = {}
    for part in _split_knobs(text):
        name, is_set, value = part.partition("=")
        knob = name.strip().replace("-", "_")
        if not is_set or not value.strip():
            hint = "KNOB=VALUE, several with commas: precision=bf16,threads=2"
            raise UsageError(f"{option}: {part[:40]!a} sets nothing", hint)
        if knob not in BY_FIELD:
            hint = did_you_mean(knob, FIELDS, f"one of {', '.join(FIELDS)}")
            raise UsageError(f"{option}: no knob {name[:40]!a}", hint)
        if knob in knobs:
            raise UsageError(f"{option}: {knob} is set twice", "one value an arm")
        knobs[knob] = _parse_value(option, knob, value.strip())
    return knobs


def _split_knobs(text: str) -> list[str]:
    """Split at commas, but for those between the braces and brackets of JSON."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "{[") - (character in "}]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _parse_value(option: str, knob: str, value: str) -> Any:
    allowed = BY_FIELD[knob].values
    if allowed and value not in allowed:
        hint = suggest_precision(value) if knob == "precision" else ""
        hint = hint or did_you_mean(value, allowed, f"one of {', '.join(allowed)}")
        raise UsageError(f"{option}: no {knob} {value[:40]!a}", hint)
    if parse := BY_FIELD[knob].parse:
        return parse(f"{option}: {knob}", value)
    if BY_FIELD[knob].is_number:
        if not (value.isascii() and value.isdigit()):
            raise UsageError(f"{option}: {knob} {value[:40]!a} is not a number")
        limits.check_integer(f"{option}: {knob}", int(value[:9]))
        return int(value[:9])
    if knob == "model":
        limits.check_model_name(value)
    return value


def build_ab_plan(model: str, arms: Sequence[Values], shared: Values, rules: ABOptions) -> Plan:
    """Build the A/B of `arms`; the knobs of an arm override those in `shared`.

    Without arms fp32 is compared with bf16. Raises `UsageError` for arms that cannot be measured or
    compared.
    """
    _check(model, shared, rules)
    given = list(arms) or list(DEFAULT_ARMS)
    if len(given) == 1:
        raise UsageError("one arm has nothing to be compared with", "--b, or --arm again")
    if len(given) > MAX_ARMS:
        raise UsageError(f"{len(given)} arms are too many", f"at most {MAX_ARMS}")
    merged = [{"model": model, **shared, **knobs} for knobs in given]
    cells = tuple(
        build_cell(chr(ord("A") + i), knobs | {"model": make_absolute(knobs["model"])})
        for i, knobs in enumerate(merged)
    )
    for cell in cells:
        if refusal := explain_refused(cell):
            raise UsageError(f"arm {cell.id}: {refusal[0]}", refusal[1])
        if why := explain_infeasible(cell):
            raise UsageError(f"arm {cell.id}: {why}")
    _require_same_kind(cells)
    require_answerable(rules.tasks, (cell.model for cell in cells))
    _require_precisions_that_differ(cells, merged)
    plan = Plan(
        cells=cells,
        margin=rules.margin,
        iterations=rules.blocks,
        starts=rules.starts,
        warmup=rules.warmup,
        budget_s=rules.budget_s or DEFAULT_BUDGET_S,
        timeout_s=rules.timeout_s,
        cost_per_hour=rules.cost_per_hour,
        seed=rules.seed,
        tasks=rules.tasks,
        accuracy_margin=rules.accuracy_margin or DEFAULT_ACCURACY_MARGIN,
        profile=rules.profile,
        allowed=rules.allowed,
    )
    if rules.fidelity_positions is None:
        return plan
    return msgspec.structs.replace(plan, fidelity_positions=rules.fidelity_positions)


def _check(model: str, shared: Values, rules: ABOptions) -> None:
    check_knobs(model, shared)
    if rules.margin <= 0:
        raise UsageError("--margin 0 % leaves no two arms equal", "above 0 and below 100 %, as 2%")
    if rules.starts != 1 and not FIRST_LOOK_STARTS <= rules.starts <= MAX_STARTS:
        least = f"fewer than {FIRST_LOOK_STARTS} have no interval to judge by"
        raise UsageError(
            f"--starts {rules.starts} is not 1, nor {FIRST_LOOK_STARTS} to {MAX_STARTS}", least
        )
    limits.check_rules(rules)
    if rules.budget_s is not None and rules.blocks is not None:
        raise UsageError(
            "--blocks and --budget contradict each other",
            "N blocks are measured exactly, a budget measures as many as it takes: give one",
        )


def _require_same_kind(cells: Sequence[Cell]) -> None:
    """Raise `UsageError` for an encoder beside a model that makes tokens: their units differ."""
    families = {cell.id: model_config.find_family(cell.model) for cell in cells}
    encodes = {name: kind == "encoder" for name, kind in families.items() if kind is not None}
    if len(set(encodes.values())) > 1:
        decoder = next(name for name, encoder in encodes.items() if not encoder)
        encoder = next(name for name, encoder in encodes.items() if encoder)
        raise UsageError(f"arm {decoder} makes tokens and arm {encoder}, an encoder, makes none")


def _require_precisions_that_differ(cells: Sequence[Cell], given: Sequence[Values]) -> None:
    """Raise `UsageError` if arms that ask for two precisions of one checkpoint get the same.

    A checkpoint that is stored quantised keeps its own. Two arms typed alike are a test of txtop.
    """
    for (first, asked), (second, other) in combinations(zip(cells, given, strict=True), 2):
        wanted = [knobs.get("precision", "fp32") for knobs in (asked, other)]
        if wanted[0] != wanted[1] and msgspec.structs.replace(second, id=first.id) == first:
            raise UsageError(
                f"arms {first.id} and {second.id} are the same: {first.model} is stored as"
                f" {first.precision} and keeps that, whatever precision is asked for",
                "model=DIRECTORY in one arm, with the plain weights it was made from",
            )


def build_precision_ab_plan(model: str, first: str, second: str) -> Plan:
    """Build the A/B of two precisions of one model; all else is at its default."""
    return build_ab_plan(model, ({"precision": first}, {"precision": second}), {}, ABOptions())
