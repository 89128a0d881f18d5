"""The arms of an A/B as a command line spells them (`precision=bf16,threads=2`), and their plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.models import model_config as known
from txtop.options import limits
from txtop.options.feasibility import explain_infeasible
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, KNOBS
from txtop.plan.plan import Allowed, Plan

DEFAULT_MARGIN = 0.02
DEFAULT_BUDGET_S = 120.0
MAX_ARMS = 8
DEFAULT_ARMS = ({"precision": "fp32"}, {"precision": "bf16"})
Values = Mapping[str, Any]
FIELDS = tuple(BY_FIELD)


@dataclass(frozen=True, kw_only=True)
class ABOptions:
    """How long an A/B goes on and what it decides; null where nothing was said."""

    margin: float = DEFAULT_MARGIN
    budget_s: float | None = None
    blocks: int | None = None
    warmup: int | None = None
    timeout_s: float | None = None
    cost_per_hour: float | None = None
    seed: int = 0
    fidelity_positions: int | None = None
    allowed: Allowed = field(default_factory=Allowed)


def parse_arm(option: str, word: str) -> dict[str, Any]:
    """The knobs of one arm. Raises `UsageError` for a knob or a value that there is not."""
    found: dict[str, Any] = {}
    for part in word.split(","):
        name, is_set, value = part.partition("=")
        knob = name.strip().replace("-", "_")
        if not is_set or not value.strip():
            hint = "KNOB=VALUE, several with commas: precision=bf16,threads=2"
            raise UsageError(f"{option}: {part[:40]!a} sets nothing", hint)
        if knob not in BY_FIELD:
            hint = did_you_mean(knob, FIELDS, f"knobs: {', '.join(FIELDS)}")
            raise UsageError(f"{option}: no knob {name[:40]!a}", hint)
        if knob in found:
            raise UsageError(f"{option}: {knob} is set twice", "one value an arm")
        found[knob] = _value(option, knob, value.strip())
    return found


def _value(option: str, knob: str, value: str) -> Any:
    allowed = BY_FIELD[knob].values
    if allowed and value not in allowed:
        hint = did_you_mean(value, allowed, f"{knob}: {', '.join(allowed)}")
        raise UsageError(f"{option}: no {knob} {value[:40]!a}", hint)
    if BY_FIELD[knob].is_number:
        if not (value.isascii() and value.isdigit()):
            raise UsageError(f"{option}: {knob} {value[:40]!a} is no number")
        limits.check_integer(f"{option}: {knob}", int(value[:9]))
        return int(value[:9])
    if knob == "model":
        limits.check_model_name(value)
    return value


def build_ab_plan(model: str, arms: Sequence[Values], shared: Values, rules: ABOptions) -> Plan:
    """The A/B of `arms`, each with its own knobs over those that all share; without any, fp32
    against bf16.

    Raises `UsageError` for what cannot be measured or compared.
    """
    _check(model, shared, rules)
    asked = list(arms) or list(DEFAULT_ARMS)
    if len(asked) == 1:
        raise UsageError("one arm has nothing to be compared with", "--a and --b")
    if len(asked) > MAX_ARMS:
        raise UsageError(f"{len(asked)} arms are too many", f"at most {MAX_ARMS}")
    cells = tuple(
        Cell(id=chr(ord("A") + i), **{"model": model, **shared, **knobs})
        for i, knobs in enumerate(asked)
    )
    for cell in cells:
        refused = known.explain_refusal(cell)
        if refused:
            raise UsageError(f"arm {cell.id}: {refused[0]}", refused[1])
        if why := explain_infeasible(cell):
            raise UsageError(f"arm {cell.id}: {why}")
    _require_same_kind(cells)
    made = Plan(
        cells=cells,
        margin=rules.margin,
        iterations=rules.blocks,
        warmup=rules.warmup,
        budget_s=rules.budget_s or DEFAULT_BUDGET_S,
        timeout_s=rules.timeout_s,
        cost_per_hour=rules.cost_per_hour,
        seed=rules.seed,
        allowed=rules.allowed,
    )
    if rules.fidelity_positions is None:
        return made
    return msgspec.structs.replace(made, fidelity_positions=rules.fidelity_positions)


def _check(model: str, shared: Values, rules: ABOptions) -> None:
    limits.check_model_name(model)
    for knob in KNOBS:
        if knob.is_number:
            limits.check_integer(f"--{knob.single}", shared.get(knob.field))
    limits.check_amount("--margin", rules.margin, 1)
    limits.check_integer("--blocks", rules.blocks)
    limits.check_common_rules(rules)
    if rules.budget_s is not None and rules.blocks is not None:
        raise UsageError(
            "--blocks and --budget contradict each other",
            "N blocks are measured exactly, a budget measures as many as it takes: give one",
        )


def _require_same_kind(cells: Sequence[Cell]) -> None:
    """A model that makes tokens and one that does not have no speed in common."""
    families = {cell.id: known.find_family(cell.model) for cell in cells}
    encodes = {name: kind == "encoder" for name, kind in families.items() if kind is not None}
    if len(set(encodes.values())) > 1:
        makes = next(name for name, encoder in encodes.items() if not encoder)
        encoder = next(name for name, encoder in encodes.items() if encoder)
        raise UsageError(f"arm {makes} makes tokens and arm {encoder}, an encoder, makes none")


def build_precision_ab_plan(model: str, first: str, second: str) -> Plan:
    """The A/B of two precisions of one model, everything else as usual."""
    return build_ab_plan(model, ({"precision": first}, {"precision": second}), {}, ABOptions())
