"""From what a command line asks to a plan: a preset's values, overridden, then checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txtop.errors import UsageError, did_you_mean
from txtop.models import model_config as known
from txtop.options import limits
from txtop.options.feasibility import drop_infeasible
from txtop.options.presets import PRESETS, Preset
from txtop.options.run_options import RunOptions as Asked
from txtop.options.serving import expand_traffic
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS, Knob, as_list
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Allowed, Plan

MAX_CELLS = 10_000
# The header, which holds the plan, is one line of the log, of which 1 MiB is read.
MAX_PLAN_BYTES = 1_000_000


def build_plan(asked: Asked, say: Callable[[str], None] = lambda _: None) -> Plan:
    """The plan; `say` gets a line for each kind of cell that makes no sense and is left out.

    Raises `UsageError` for what cannot be measured or contradicts itself.
    """
    cells, left_out = drop_infeasible(expand_cells(asked))
    if not cells:
        raise UsageError(f"no cell is left: {left_out[0]}")
    for line in left_out:
        say(line)
    for cell in cells:
        refused = known.explain_refusal(cell)
        if refused:
            raise UsageError(*refused)
    import msgspec

    base = preset_defaults(asked)
    fixed = None if asked.budget_s is not None else base.iterations
    plan = Plan(
        cells=cells,
        iterations=asked.iterations if asked.iterations is not None else fixed,
        warmup=base.warmup if asked.warmup is None else asked.warmup,
        seed=asked.seed or 0,
        preset=asked.preset,
        scale=asked.scale or "full",
        timeout_s=asked.timeout_s,
        cost_per_hour=asked.cost_per_hour,
        allowed=Allowed(
            pickles=bool(asked.allow_pickles), remote_code=bool(asked.trust_remote_code)
        ),
    )
    if asked.budget_s is not None:
        plan = msgspec.structs.replace(plan, budget_s=asked.budget_s)
    positions = asked.fidelity_positions
    positions = base.fidelity_positions if positions is None else positions
    if positions is not None:
        plan = msgspec.structs.replace(plan, fidelity_positions=positions)
    size = len(msgspec.json.encode(plan))
    if size > MAX_PLAN_BYTES:
        raise UsageError(
            f"{len(cells)} cells do not fit into one recording ({size:,} bytes of plan)",
            f"ask for about {len(cells) * MAX_PLAN_BYTES // size} or fewer",
        )
    return plan


def expand_cells(asked: Asked) -> tuple[Cell, ...]:
    """Every combination that was asked for, also those that a plan leaves out or refuses.

    Raises `UsageError` for what contradicts itself or is too much.
    """
    _check(asked)
    base = preset_defaults(asked)
    chosen = {knob.option: values_of(asked, knob) or usual(base, knob) for knob in KNOBS}
    cells = expand_matrix(loads=expand_traffic(asked), **chosen)
    if len(cells) > MAX_CELLS:
        raise UsageError(f"{len(cells)} cells are more than {MAX_CELLS}", "ask for fewer values")
    return cells


def preset_defaults(asked: Asked) -> Preset:
    """What holds where nothing else was said."""
    return PRESETS[asked.preset].at(asked.scale or "full") if asked.preset else Preset(title="")


def values_of(asked: Asked, knob: Knob) -> list[Any]:
    """Return the values of a knob that were given."""
    return as_list(getattr(asked, knob.option))


def usual(base: Preset, knob: Knob) -> list[Any]:
    """Return the values of a knob where none were given."""
    return as_list(getattr(base, knob.option, knob.default))


def _check(asked: Asked) -> None:
    several = {knob.flag: getattr(asked, knob.option) for knob in KNOBS if knob.several}
    several |= {"--scenario": asked.scenario, "--rate": asked.rate}
    several |= {"--concurrency": asked.concurrency}
    for option, values in several.items():
        if values is not None and not values:
            raise UsageError(f"{option} needs at least one value")
        for value in values or ():
            _check_value(option, value)
    if asked.preset is not None and asked.preset not in PRESETS:
        hint = did_you_mean(asked.preset, PRESETS, f"presets: {', '.join(PRESETS)}")
        raise UsageError(f"no preset {asked.preset[:40]!a}", hint)
    if asked.scale == "smoke" and asked.preset is None:
        raise UsageError("--scale shrinks a preset", "add --preset")
    if asked.iterations is not None and asked.budget_s is not None:
        raise UsageError(
            "--iterations and --budget contradict each other",
            "N iterations are measured exactly, a budget measures as many as fit: give one",
        )
    limits.check_integer("--iterations", asked.iterations)
    limits.check_integer("--requests", asked.requests)
    limits.check_integer("--max-batch", asked.max_batch)
    limits.check_common_rules(asked)


def _check_value(option: str, value: object) -> None:
    if isinstance(value, int):
        limits.check_integer(option, value)
    if option == "--models" and isinstance(value, str):
        limits.check_model_name(value)
