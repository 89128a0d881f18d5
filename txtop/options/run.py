"""From what a command line asks to a plan: a preset's values, overridden, then checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from txtop.errors import UsageError, did_you_mean
from txtop.models import model_config as known
from txtop.options import limits
from txtop.options.feasibility import drop_infeasible
from txtop.options.presets import PRESETS, Preset, PresetScale
from txtop.options.serving import ServingOptions, expand_traffic
from txtop.plan.cell import Attention, Cache, Cell, Compile, Device, Precision, Weights
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Allowed, Plan
from txtop.plan.serving import Scenario

MAX_CELLS = 10_000
# The header, which holds the plan, is one line of the log, of which 1 MiB is read.
MAX_PLAN_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `run` as they were given; null where one was not."""

    models: list[str] | None = None
    precisions: list[Precision] | None = None
    attention: list[Attention] | None = None
    batch_sizes: list[int] | None = None
    sequence_lengths: list[int] | None = None
    new_tokens: list[int] | None = None
    threads: list[int] | None = None
    compile: list[Compile] | None = None
    cache: list[Cache] | None = None
    scenario: list[Scenario] | None = None
    rate: list[str] | None = None
    concurrency: list[int] | None = None
    requests: int | None = None
    max_batch: int | None = None
    max_wait_ms: float | None = None
    lengths: str | None = None
    slo: str | None = None
    device: Device | None = None
    weights: Weights | None = None
    iterations: int | None = None
    warmup: int | None = None
    budget_s: float | None = None
    timeout_s: float | None = None
    cost_per_hour: float | None = None
    seed: int | None = None
    fidelity_positions: int | None = None
    preset: str | None = None
    scale: PresetScale | None = None
    allow_pickles: bool | None = None
    trust_remote_code: bool | None = None


def build_plan(asked: RunOptions, say: Callable[[str], None] = lambda _: None) -> Plan:
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


def expand_cells(asked: RunOptions) -> tuple[Cell, ...]:
    """Every combination that was asked for, also those that a plan leaves out or refuses.

    Raises `UsageError` for what contradicts itself or is too much.
    """
    _check(asked)
    base = preset_defaults(asked)
    cells = expand_matrix(
        models=asked.models or list(base.models),
        precisions=asked.precisions or list(base.precisions),
        attention=asked.attention or list(base.attention),
        batch_sizes=asked.batch_sizes or list(base.batch_sizes),
        sequence_lengths=asked.sequence_lengths or list(base.sequence_lengths),
        new_tokens=asked.new_tokens or list(base.new_tokens),
        device=asked.device or base.device,
        threads=asked.threads,
        weights=asked.weights or "auto",
        compiles=asked.compile,
        caches=asked.cache,
        loads=expand_traffic(
            ServingOptions(
                **{field.name: getattr(asked, field.name) for field in fields(ServingOptions)}
            )
        ),
    )
    if len(cells) > MAX_CELLS:
        raise UsageError(f"{len(cells)} cells are more than {MAX_CELLS}", "ask for fewer values")
    return cells


def preset_defaults(asked: RunOptions) -> Preset:
    """What holds where nothing else was said."""
    return PRESETS[asked.preset].at(asked.scale or "full") if asked.preset else Preset(title="")


def _check(asked: RunOptions) -> None:
    for option, values in (
        ("--models", asked.models),
        ("--precisions", asked.precisions),
        ("--attention", asked.attention),
        ("--batch-sizes", asked.batch_sizes),
        ("--sequence-lengths", asked.sequence_lengths),
        ("--new-tokens", asked.new_tokens),
        ("--threads", asked.threads),
        ("--compile", asked.compile),
        ("--cache", asked.cache),
        ("--scenario", asked.scenario),
        ("--rate", asked.rate),
        ("--concurrency", asked.concurrency),
    ):
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
    limits.check_integer("--warmup", asked.warmup, 0)
    limits.check_integer("--seed", asked.seed, 0)
    limits.check_integer("--fidelity-positions", asked.fidelity_positions, 0)
    limits.check_seconds("--budget", asked.budget_s, 86_400)
    limits.check_seconds("--timeout", asked.timeout_s, 864_000)
    limits.check_amount("--cost-per-hour", asked.cost_per_hour, 1e9)


def _check_value(option: str, value: object) -> None:
    if isinstance(value, int):
        limits.check_integer(option, value)
    if option == "--models" and isinstance(value, str):
        limits.check_model_name(value)
