"""The plan of `txtop tune`: the space of configurations, and the rules of the race as typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.models import model_config
from txtop.models.local_accelerator import find_accelerator
from txtop.options import ab_plan, limits
from txtop.options.feasibility import (
    drop_infeasible,
    explain_refused,
    find_fast_precision,
)
from txtop.options.fit_options import parse_memory
from txtop.options.one_cell import build_checked_cell
from txtop.options.parsing import parse_numbers, parse_percentage
from txtop.options.tasks import build_tasks, parse_allowed_loss, require_answerable
from txtop.options.tune_options import TuneRuleOptions
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, BY_OPTION, KNOBS, as_list
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Allowed, Plan
from txtop.plan.references import find_most_precise
from txtop.plan.task import DEFAULT_ACCURACY_MARGIN
from txtop.plan.tuning import (
    FLOORS,
    MINIMISED,
    OBJECTIVES,
    RATES,
    TIMES,
    CallLimit,
    FloorBand,
    Objective,
    Tuning,
)
from txtop.quantities import parse_duration
from txtop.system import cpu

MAX_CANDIDATES = 400
# What does not fit is left out by its forecast.
CPU_BATCHES, GPU_BATCHES = (1, 8, 32), (1, 8, 32, 128)
# Of different work the least would win.
_WORK = ("sequence_length", "new_tokens", "prompts", "chat_template")
_LIMIT = re.compile(rf"({'|'.join(TIMES)})(?::p([0-9]{{1,2}}(?:\.[0-9]{{1,3}})?))?(?:<=?)(.+)")
_LIMIT_FORMS = "write ttft:p90<200ms,tpot:p90<50ms"
_KLD = re.compile(r"kld<=?([0-9.e-]{1,12})")


def build_tune_plan(
    model: str,
    fixed: Mapping[str, Any],
    rules: TuneRuleOptions,
    say: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Build the plan of a race; the knobs in `fixed`, by field, are those of every candidate.

    `say` is called with a line for each reason to leave candidates out, and for what is not in the
    budget. Raises `UsageError`.
    """
    # Today's default: every knob that is not fixed has its own.
    default = build_checked_cell(model, fixed)
    _check_rules(rules)
    family = model_config.find_family(model)
    objective = parse_objective(rules, encodes=family == "encoder")
    call_limits = parse_limits(rules.slo)
    if family == "encoder" and any(OBJECTIVES[limit.time].least_tokens for limit in call_limits):
        raise UsageError("--slo: an encoder makes no tokens", "e2e:p90<50ms")
    for time in (objective, *(limit.time for limit in call_limits)):
        if default.new_tokens < OBJECTIVES[time].least_tokens:
            raise UsageError(f"{time} needs at least two new tokens", "--new-tokens 2, or more")
    cells = _expand_space(default, fixed, rules.space, objective, encodes=family == "encoder")
    candidates, left_out = drop_infeasible(
        cells, lambda cell: ": ".join(explain_refused(cell) or ())
    )
    for line in left_out:
        say(line)
    if len(candidates) < 2:
        raise UsageError("a race needs two candidates", "more values in --space")
    if len(candidates) > MAX_CANDIDATES:
        raise UsageError(
            f"{len(candidates)} candidates are more than {MAX_CANDIDATES}",
            "fewer values in --space",
        )
    floor, kld = parse_floor(rules.floor)
    best = find_most_precise(candidates)
    unchecked = ""
    if best.weights == "random":
        unchecked = "random weights have none to lose"
    elif not modes.is_dense(best.precision):
        unchecked = f"no candidate is more precise than {best.precision}"
    if rules.floor != "none" and unchecked:
        say(f"quality is not checked: {unchecked}")
        floor = kld = None
    if rules.budget_s is not None:
        n = len(candidates)
        say(f"--budget counts measuring alone, not loading and warming up {n} candidates")
    tasks = build_tasks(rules.task or ())
    require_answerable(tasks, (model,))
    least = -DEFAULT_ACCURACY_MARGIN
    if rules.min_accuracy is not None:
        least = parse_allowed_loss("--min-accuracy", rules.min_accuracy)
    plan = Plan(
        cells=candidates,
        seed=rules.seed,
        timeout_s=rules.timeout_s,
        cost_per_hour=rules.cost_per_hour,
        profile="none",
        tasks=tasks,
        allowed=Allowed(pickles=rules.allow_pickles, remote_code=rules.trust_remote_code),
        tuning=Tuning(
            objective=objective,
            default=candidates[0].id,
            limits=call_limits,
            floor=floor,
            floor_kld=kld,
            min_accuracy=least if tasks else None,
            memory_bytes=parse_memory(rules.memory),
            margin=parse_percentage("--margin", rules.margin),
            budget_s=rules.budget_s,
        ),
    )
    if rules.fidelity_positions is None:
        return plan
    return msgspec.structs.replace(plan, fidelity_positions=rules.fidelity_positions)


def _check_rules(rules: TuneRuleOptions) -> None:
    if rules.min_accuracy is not None and not rules.task:
        raise UsageError("--min-accuracy needs a task", "--task FILE.jsonl, or agreement, pairs …")
    limits.check_rules(rules)
    if parse_percentage("--margin", rules.margin) <= 0:
        raise UsageError("--margin 0 % leaves no two equal", "above 0 and below 100 %, as 2%")


def parse_objective(rules: TuneRuleOptions, *, encodes: bool) -> Objective:
    """Return what is raced for; `encodes` if the model makes no tokens. Raises `UsageError`."""
    if rules.maximise is not None and rules.minimise is not None:
        raise UsageError("--maximise and --minimise contradict each other", "give one of them")
    objective: Objective
    if rules.minimise is not None:
        objective = _choose("--minimise", rules.minimise, MINIMISED)
    elif rules.maximise is not None:
        objective = _choose("--maximise", rules.maximise, RATES)
    else:
        objective = "sequences_per_s" if encodes else "tokens_per_s"
    if encodes and OBJECTIVES[objective].least_tokens:
        raise UsageError(f"an encoder has no {objective}", "--maximise sequences_per_s")
    if objective == "cost" and rules.cost_per_hour is None:
        raise UsageError("--minimise cost needs a price", "--cost-per-hour")
    return objective


def _choose(option: str, given: str, names: Sequence[Any]) -> Any:
    name = given.strip().replace("-", "_")
    if name not in names:
        hint = did_you_mean(name, names, f"one of {', '.join(names)}")
        raise UsageError(f"{option}: unknown objective {given[:40]!a}", hint)
    return name


def parse_limits(text: str | None) -> tuple[CallLimit, ...]:
    """Return the limits of `--slo`; without a percentile they are of p90. Raises `UsageError`."""
    bounds = []
    for part in text.split(",") if text is not None else ():
        match = _LIMIT.fullmatch(part.strip().lower().replace(" ", ""))
        most_ms = parse_duration(match[3], "ms") if match else None
        if match is not None and most_ms is None:
            raise UsageError(f"--slo: {match[3][:40]!a} is not a time", "ms or s: 200ms, 1.5s")
        share = float(match[2] or 90) / 100 if match else 0.0
        if match is None or not most_ms or not 0 < share < 1:
            raise UsageError(f"--slo: {part[:40]!a} is not a limit", _LIMIT_FORMS)
        bounds.append(CallLimit(time=match[1], share=share, most_ms=most_ms))  # type: ignore[arg-type]
    if len({(bound.time, bound.share) for bound in bounds}) < len(bounds):
        raise UsageError("--slo: a limit is given twice", _LIMIT_FORMS)
    return tuple(bounds)


def parse_floor(text: str) -> tuple[FloorBand | None, float | None]:
    """Return the band of `--floor`, or its largest KLD in nats. Raises `UsageError`."""
    given = text.strip().lower().replace(" ", "")
    if given == "none":
        return None, None
    if match := _KLD.fullmatch(given):
        try:
            kld = float(match[1])
        except ValueError:
            kld = 0.0
        if 0 < kld <= 1e3:
            return None, kld
    for band in FLOORS:
        if given == band:
            return band, None
    hint = did_you_mean(given, FLOORS, f"one of {', '.join(FLOORS)}, kld<=0.01, none")
    raise UsageError(f"--floor: {text[:40]!a} is not a quality level", hint)


# The space


def _expand_space(
    default: Cell,
    fixed: Mapping[str, Any],
    space: list[str] | None,
    objective: Objective,
    *,
    encodes: bool,
) -> tuple[Cell, ...]:
    """Return the default and every candidate of the space, each once."""
    products = [parse_space(space)] if space else _list_usual(default, objective, encodes)
    expanded: list[Cell] = []
    for values in products:
        if twice := values.keys() & fixed.keys():
            knob = BY_FIELD[min(twice)]
            if space:
                raise UsageError(
                    f"--{knob.single} and {knob.option.replace('_', '-')} in --space contradict"
                    " each other",
                    "give one of them",
                )
        lists = {
            knob.option: [knob.of(default)]
            if knob.field in fixed
            else values.get(knob.field, [knob.of(default)])
            for knob in KNOBS
        }
        expanded += expand_matrix(**lists)
    cells = [
        msgspec.structs.replace(cell, id="", attention_asked=default.attention_asked)
        for cell in expanded
    ]
    return tuple(dict.fromkeys([default, *cells]))


def parse_space(texts: list[str]) -> dict[str, list[Any]]:
    """Return the values by field of texts as `precisions=fp32,bf16`. Raises `UsageError`."""
    values: dict[str, list[Any]] = {}
    for text in re.sub(r"\s*,\s*", ",", " ".join(texts)).split():
        name, is_set, typed = text.removeprefix("--").partition("=")
        option = name.strip().replace("-", "_")
        if not is_set or not all(typed.split(",")):
            hint = "OPTION=VALUES of run, as precisions=fp32,bf16 batch-sizes=1,8"
            raise UsageError(f"--space: {text[:40]!a} sets nothing", hint)
        if option not in BY_OPTION or option == "models":
            names = [k.option.replace("_", "-") for k in KNOBS if k.field not in ("model", *_WORK)]
            hint = did_you_mean(name, names, f"one of {', '.join(names)}")
            raise UsageError(f"--space: no option {name[:40]!a}", hint)
        knob = BY_OPTION[option]
        if knob.field in _WORK:
            verb = "are" if name.endswith("s") else "is"
            first = re.split("[,-]" if knob.is_number else ",", typed)[0]
            raise UsageError(
                f"--space: {name} {verb} the work itself, not a way to do it",
                f"--{knob.single} {first}",
            )
        if knob.field in values:
            raise UsageError(f"--space: {name} is given twice", "all its values at once")
        values[knob.field] = _parse_values(knob.field, knob.is_number, typed)
    return values


def _parse_values(field: str, is_number: bool, typed: str) -> list[Any]:
    if is_number:
        numbers = parse_numbers("--space", [typed]) or []
        for number in numbers:
            limits.check_integer(f"--space: {field}", number)
        return list(numbers)
    return [ab_plan.parse_arm("--space", f"{field}={value}")[field] for value in typed.split(",")]


def _list_usual(default: Cell, objective: Objective, encodes: bool) -> list[dict[str, list[Any]]]:
    """Return the space without `--space`, as products whose union it is.

    A larger batch never makes a call shorter, so latencies are raced at the batch that is fixed.
    The static cache and every way to compile are tried with the other knobs at their usual values.
    """
    device = find_accelerator(default.device)
    on_cpu = device is not None and device.kind == "cpu"
    precisions = ["fp32", find_fast_precision(default.device), "int8"]
    if not on_cpu:
        precisions = ["fp32", "tf32", "fp16", "bf16", "int8"]
    batches = list(CPU_BATCHES if on_cpu else GPU_BATCHES)
    if objective in TIMES:
        batches = [default.batch_size]
    common: dict[str, list[Any]] = {
        "precision": as_list(list(dict.fromkeys(precisions))),
        "batch_size": batches,
    }
    attention = ["sdpa", "eager"] if on_cpu else ["sdpa", "eager", "flash_attention_2"]
    whole = {**common, "attention": attention}
    if on_cpu:
        whole["threads"] = _list_threads()
    ways = ["none", "default"] if on_cpu else ["none", "default", "reduce-overhead"]
    return [whole, {**common, "cache": ["dynamic" if encodes else "static"], "compile": ways}]


def _list_threads() -> list[int | None]:
    """Return the usual threads, half of the cores, and all."""
    cores, usual = cpu.count_allowed_cores(), cpu.choose_thread_count()
    others = [n for n in (cores // 2, cores) if n >= 1 and n != usual]
    return [None, *dict.fromkeys(others)]
