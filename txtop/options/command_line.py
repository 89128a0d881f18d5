"""The command lines that ask for a run, for one cell of it, or for an A/B again.

Each holds only what differs from the defaults, and is quoted for a POSIX shell. Tests read every
command back through the parser and compare the plans.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from txtop.errors import UsageError
from txtop.options import ab_plan
from txtop.options.explain_options import NO_EXPLAIN_RULES
from txtop.options.one_cell import build_cell
from txtop.options.parsing import format_numbers, parse_percentage
from txtop.options.run_options import NOTHING, SECONDS, RunOptions, ServingOptions
from txtop.options.run_plan import get_default_values, get_measuring_rule, get_preset_defaults
from txtop.options.serving import REQUEST_OPTIONS, expand_traffic
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, KNOBS, Knob, order_knobs
from txtop.plan.modes import names_scheme
from txtop.plan.plan import DEFAULT_MARGIN, Plan
from txtop.plan.serving import Serving, Slo

_NUMBERS = (*(knob.option for knob in KNOBS if knob.is_number), "concurrency")
# The model has a place of its own in each command.
_KNOBS = order_knobs(without=("model",))
_DEFAULT_PLAN = Plan(cells=())
_DEFAULT_SERVING = Serving()


def format_command(options: RunOptions, session_dir: Path | None = None) -> str:
    """Return `txtop run …` without what is the default or the preset's value anyway."""
    where = _format_option("--session-dir", [str(session_dir)]) if session_dir else ()
    return shlex.join(["txtop", "run", *_build_arguments(options), *where])


def _build_arguments(options: RunOptions) -> list[str]:
    """Return the arguments of `run` that spell `options`, which `build_plan` accepts."""
    arguments: list[str] = []
    for name, value in _iterate_changed_options(options):
        spelt = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(spelt)
        elif isinstance(value, list):
            texts = format_numbers(value) if name in _NUMBERS else [*map(str, value)]
            arguments += _format_option(spelt, texts)
        else:
            arguments += _format_option(spelt, [_format_value(value)])
    return arguments


def _iterate_changed_options(options: RunOptions) -> Iterator[tuple[str, object]]:
    """Yield name and value of each option that changes the plan."""
    base = get_preset_defaults(options)
    positions = base.fidelity_positions
    standard: dict[str, object] = {"preset": None, "scale": "full"}
    for knob in KNOBS:
        values = get_default_values(base, knob)
        standard[knob.option] = (values or None) if knob.several else values[0]
    standard |= {
        "scenario": ["static"],
        **dict.fromkeys(REQUEST_OPTIONS),
        "iterations": None,
        "warmup": base.warmup,
        "budget": None,
        "timeout": None,
        "seed": _DEFAULT_PLAN.seed,
        "fidelity_positions": _DEFAULT_PLAN.fidelity_positions if positions is None else positions,
        "task": None,
        "accuracy_margin": _DEFAULT_PLAN.accuracy_margin,
        "profile": _DEFAULT_PLAN.profile,
        "cost_per_hour": None,
        "devices": None,
        "allow_pickles": False,
        "trust_remote_code": False,
    }
    usual = None, _DEFAULT_PLAN.budget_s
    rule = options.iterations, options.budget_s
    if rule == (usual if base.iterations is None else get_measuring_rule(NOTHING, base)):
        standard |= {"iterations": options.iterations, "budget": options.budget_s}
    for name in standard:
        value = getattr(options, SECONDS.get(name, name))
        asked = name == "attention" and value == ["sdpa"]
        if value is not None and (value != standard[name] or asked):
            yield name, value


def _format_option(name: str, values: Sequence[str]) -> Iterator[str]:
    """Yield an option and its values; a value that looks like an option becomes `NAME=VALUE`."""
    for i, value in enumerate(values):
        if value.startswith("-"):
            yield f"{name}={value}"
        else:
            yield from [name, value] if i == 0 else [value]


def _format_exact_number(value: float) -> str:
    """Return the shortest text that is read back as the same number."""
    return msgspec.json.encode(value).decode().removesuffix(".0")


def _format_value(value: object) -> str:
    return _format_exact_number(value) if isinstance(value, int | float) else str(value)


def format_cell_command(plan: Plan, cell: Cell) -> str:
    """Return the command that measures just `cell` again, by the plan's rules.

    The arms of an A/B mean nothing alone, so the command repeats the whole A/B; a load that is a
    share of a server's capacity needs the sweep that measures it. A preset is spelled out: it may
    change later. Empty if no command line can spell the cell.
    """
    return shlex.join(_format_ab(plan) if plan.margin is not None else _format_run(plan, cell))


def _format_run(plan: Plan, cell: Cell) -> list[str]:
    arguments = ["txtop", "run", *_format_option("--models", [cell.model])]
    for knob in _KNOBS:
        if _is_spelled(knob, cell):
            arguments += [knob.flag, str(knob.of(cell))]
    if cell.serving is not None:
        load = _format_traffic(cell, cell.serving)
        if not load:
            return []
        arguments += load
    if plan.iterations is not None:
        arguments += ["--iterations", str(plan.iterations)]
    if plan.fitted or (plan.iterations is None and plan.budget_s != _DEFAULT_PLAN.budget_s):
        arguments += ["--budget", _format_exact_number(plan.budget_s)]
    return arguments + _format_rules(plan)


def format_explain_command(plan: Plan, cell: Cell) -> str:
    """Return the command that explains `cell` again, by the rules of a plan that did."""
    arguments: list[str] = []
    for knob in _KNOBS:
        if _is_spelled(knob, cell):
            arguments += [f"--{knob.field.replace('_', '-')}", str(knob.of(cell))]
    for name in ("iterations", "budget_s"):
        value, usual = getattr(plan, name), getattr(NO_EXPLAIN_RULES, name)
        if value is not None and value != usual:
            arguments += [f"--{name.removesuffix('_s')}", _format_exact_number(value)]
    arguments += ["--nvtx"] if plan.nvtx else []
    # Of the other rules an explanation sets some itself, and takes no option for them.
    unset = {"warmup": None, "fidelity_positions": _DEFAULT_PLAN.fidelity_positions}
    arguments += _format_rules(msgspec.structs.replace(plan, **unset))
    if cell.model.startswith("-"):
        return shlex.join(["txtop", "explain", *arguments, "--", cell.model])
    return shlex.join(["txtop", "explain", cell.model, *arguments])


def _format_traffic(cell: Cell, serving: Serving) -> list[str]:
    """Return the options of the cell's load; empty if none spell it.

    Pairs of lengths come from a file whose name is not recorded.
    """
    given = {
        name: value
        for name in ("requests", "max_batch", "max_wait_ms", "lengths")
        if (value := getattr(serving, name)) != getattr(_DEFAULT_SERVING, name)
    }
    if cell.scenario == "single":
        given = {k: v for k, v in given.items() if not k.startswith("max_")}
    if serving.share is not None:
        given["rate"] = ["sweep"]
    elif serving.rate is not None:
        given["rate"] = [_format_exact_number(serving.rate)]
    elif serving.concurrency is None:
        return []
    elif serving.concurrency != serving.max_batch:
        given["concurrency"] = [serving.concurrency]
    if serving.slo is not None:
        given["slo"] = _format_slo(serving.slo)
    try:
        loads = expand_traffic(ServingOptions(scenario=[cell.scenario], **given))
    except UsageError:
        return []
    if (cell.scenario, serving) not in loads or cell.batch_size != 1:
        return []
    arguments = ["--scenario", cell.scenario]
    for name in REQUEST_OPTIONS:
        if (value := given.get(name)) is not None:
            single = value[0] if isinstance(value, list) else value
            arguments += [f"--{name.replace('_', '-')}", _format_value(single)]
    return arguments


def _format_slo(slo: Slo) -> str:
    """Return `ttft=200ms,e2e=2000ms`, without exponents: `--slo` does not read them."""
    return ",".join(
        f"{name.removesuffix('_ms')}={Decimal(repr(ms)):f}ms"
        for name in slo.__struct_fields__
        if (ms := getattr(slo, name)) is not None
    )


def _format_ab(plan: Plan) -> list[str]:
    shared = {
        knob.field: knob.of(plan.cells[0])
        for knob in _KNOBS
        if len({knob.of(cell) for cell in plan.cells}) == 1
        and all(_is_spelled(knob, cell) for cell in plan.cells)
    }
    # A model before the arms may have any name, one within an arm has no comma: try each in front.
    models = dict.fromkeys(cell.model for cell in plan.cells)
    attempts = ((model, _format_arms(plan.cells, model, shared)) for model in models)
    model, arguments = next(((m, arms) for m, arms in attempts if arms), ("", []))
    if not arguments:
        return []
    for knob, value in shared.items():
        arguments += [f"--{knob.replace('_', '-')}", str(value)]
    if plan.margin is not None and plan.margin != DEFAULT_MARGIN:
        arguments += ["--margin", _format_percentage(plan.margin)]
    if plan.iterations is not None:
        arguments += ["--blocks", str(plan.iterations)]
    elif plan.budget_s != ab_plan.DEFAULT_BUDGET_S:
        arguments += ["--budget", _format_exact_number(plan.budget_s)]
    arguments += ["--starts", str(plan.starts)] if plan.starts > 1 else []
    arguments += _format_rules(plan)
    if model.startswith("-"):
        return ["txtop", "ab", *arguments, "--", model]
    return ["txtop", "ab", model, *arguments]


def _format_arms(cells: Sequence[Cell], model: str, shared: dict[str, Any]) -> list[str]:
    """Return every arm with its option; empty if one of them cannot be spelled."""
    arguments: list[str] = []
    for i, cell in enumerate(cells):
        arm = _format_arm(cell, model, shared)
        if not _is_read_back(arm, cell, model, shared):
            return []
        arguments += [("--a", "--b")[i] if i < 2 else "--arm", arm]
    return arguments


def _format_arm(cell: Cell, model: str, shared: dict[str, Any]) -> str:
    """Return the knobs of this arm alone; its precision if there are none.

    An arm needs at least one knob, and A against A is a valid test.
    """
    own = {
        knob.field: knob.of(cell)
        for knob in _KNOBS
        if knob.field not in shared and _is_spelled(knob, cell)
    }
    if cell.model != model:
        own["model"] = cell.model
    stored = names_scheme(cell.precision)
    own = own or {"precision": BY_FIELD["precision"].default if stored else cell.precision}
    return ",".join(f"{knob}={value}" for knob, value in own.items())


def _is_read_back(arm: str, cell: Cell, model: str, shared: dict[str, Any]) -> bool:
    """Return whether `arm` is read as `cell`: a model's name may hold a comma."""
    try:
        knobs = ab_plan.parse_arm("--a", arm)
    except UsageError:
        return False
    again = build_cell(cell.id, {"model": model, **shared, **knobs})
    # Where the files are not at hand, as in a replay, their scheme is not read back.
    precision = cell.precision if names_scheme(cell.precision) else again.precision
    again = msgspec.structs.replace(again, alias=cell.alias, base=cell.base, precision=precision)
    return again == cell


def _is_spelled(knob: Knob, cell: Cell) -> bool:
    """Return whether a command must give `knob`: its value is not the default, or was asked for.

    How a checkpoint is stored is not asked for: its files say it.
    """
    if knob.field == "precision" and names_scheme(cell.precision):
        return False
    asked = knob.field == "attention" and bool(cell.attention_asked)
    return asked or knob.of(cell) != knob.default


def _format_rules(plan: Plan) -> list[str]:
    """Return the options that `run` and `ab` share."""
    arguments: list[str] = []
    for spelt, name in (
        ("--warmup", "warmup"),
        ("--fidelity-positions", "fidelity_positions"),
        ("--accuracy-margin", "accuracy_margin"),
        ("--timeout", "timeout_s"),
        ("--cost-per-hour", "cost_per_hour"),
        ("--seed", "seed"),
    ):
        if (value := getattr(plan, name)) != getattr(_DEFAULT_PLAN, name):
            arguments += [spelt, _format_exact_number(value)]
    if plan.tasks:
        arguments += _format_option("--task", [task.path for task in plan.tasks])
    if plan.profile != _DEFAULT_PLAN.profile:
        arguments += ["--profile", plan.profile]
    arguments += ["--allow-pickles"] if plan.allowed.pickles else []
    arguments += ["--trust-remote-code"] if plan.allowed.remote_code else []
    return arguments


def _format_percentage(value: float) -> str:
    """Return a share as a percentage, or as a fraction if only that is read back exactly."""
    forms = (f"{value * 100:.12g}%", f"{value:.9f}".rstrip("0"))
    return next((form for form in forms if parse_percentage("--margin", form) == value), forms[0])
