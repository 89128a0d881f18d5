"""The command line that measures one cell again, or an A/B: only what is not by default."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from txtop.errors import UsageError
from txtop.options import ab
from txtop.options.command_line import format_exact_number, format_option
from txtop.options.parsing import parse_percentage
from txtop.options.run_options import ServingOptions
from txtop.options.serving import expand_traffic
from txtop.plan.cell import Cell
from txtop.plan.knobs import order_knobs
from txtop.plan.plan import Plan
from txtop.plan.serving import Serving, Slo

_KNOBS = order_knobs(without=("model",))
_DEFAULT_PLAN = Plan(cells=())
_DEFAULT_SERVING = Serving()


def format_cell_command(plan: Plan, cell: Cell) -> str:
    """The command that asks for just this cell with the plan's rules; in an A/B, whose arms are
    nothing without each other, for all of it; for a share of what a server can do, the sweep that
    finds that out. Empty where no command line can spell it.

    Quoted for a POSIX shell. A preset is spelled out, so that it may change without harm.
    """
    words = _format_ab(plan) if plan.margin is not None else _format_run(plan, cell)
    return shlex.join(words)


def _format_run(plan: Plan, cell: Cell) -> list[str]:
    words = ["txtop", "run", *format_option("--models", [cell.model])]
    for knob in _KNOBS:
        if (value := knob.of(cell)) != knob.default:
            words += [knob.flag, str(value)]
    if cell.serving is not None:
        load = _format_traffic(cell, cell.serving)
        if not load:
            return []
        words += load
    if plan.iterations is not None:
        words += ["--iterations", str(plan.iterations)]
    elif plan.budget_s != _DEFAULT_PLAN.budget_s:
        words += ["--budget", format_exact_number(plan.budget_s)]
    return words + _format_rules(plan)


def _format_traffic(cell: Cell, serving: Serving) -> list[str]:
    """How requests come to the cell; nothing where that cannot be spelled: pairs of lengths come
    from a file whose name is not known."""
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
        given["rate"] = [format_exact_number(serving.rate)]
    elif serving.concurrency is None:
        return []
    elif serving.concurrency != serving.max_batch:
        given["concurrency"] = [serving.concurrency]
    if serving.slo is not None:
        given["slo"] = _format_slo(serving.slo)
    try:
        asked = expand_traffic(ServingOptions(scenario=[cell.scenario], **given))
    except UsageError:
        return []
    if (cell.scenario, serving) not in asked or cell.batch_size != 1:
        return []
    words = ["--scenario", cell.scenario]
    for name in ("rate", "concurrency", "requests", "max_batch", "max_wait_ms", "lengths", "slo"):
        if (value := given.get(name)) is not None:
            word = value[0] if isinstance(value, list) else value
            words += [f"--{name.replace('_', '-')}", _format_value(word)]
    return words


def _format_value(value: object) -> str:
    return format_exact_number(value) if isinstance(value, int | float) else str(value)


def _format_slo(slo: Slo) -> str:
    """`ttft=200ms,e2e=2000ms`; an exponent would not be read."""
    return ",".join(
        f"{name.removesuffix('_ms')}={Decimal(repr(ms)):f}ms"
        for name in slo.__struct_fields__
        if (ms := getattr(slo, name)) is not None
    )


def _format_ab(plan: Plan) -> list[str]:
    shared = {
        knob.field: value
        for knob in _KNOBS
        if len(values := {knob.of(cell) for cell in plan.cells}) == 1
        and (value := values.pop()) != knob.default
    }
    # The model that stands alone may have any name, that of an arm no comma.
    models = dict.fromkeys(cell.model for cell in plan.cells)
    found = ((model, _format_arms(plan.cells, model, shared)) for model in models)
    model, words = next(((m, words) for m, words in found if words), ("", []))
    if not words:
        return []
    for knob, value in shared.items():
        words += [f"--{knob.replace('_', '-')}", str(value)]
    if plan.margin is not None and plan.margin != ab.DEFAULT_MARGIN:
        words += ["--margin", _format_percentage(plan.margin)]
    if plan.iterations is not None:
        words += ["--blocks", str(plan.iterations)]
    elif plan.budget_s != ab.DEFAULT_BUDGET_S:
        words += ["--budget", format_exact_number(plan.budget_s)]
    words += _format_rules(plan)
    if model.startswith("-"):
        return ["txtop", "ab", *words, "--", model]
    return ["txtop", "ab", model, *words]


def _format_arms(cells: Sequence[Cell], model: str, shared: dict[str, Any]) -> list[str]:
    """Each with its option; nothing where one of them cannot be spelled."""
    words: list[str] = []
    for i, cell in enumerate(cells):
        arm = _format_arm(cell, model, shared)
        if not _is_read_back(arm, cell, model, shared):
            return []
        words += [("--a", "--b")[i] if i < 2 else "--arm", arm]
    return words


def _format_arm(cell: Cell, model: str, shared: dict[str, Any]) -> str:
    """What this arm has for itself; its precision where that is nothing, for an arm says something
    and A against A is a test too."""
    own = {
        knob.field: value
        for knob in _KNOBS
        if knob.field not in shared and (value := knob.of(cell)) != knob.default
    }
    if cell.model != model:
        own["model"] = cell.model
    own = own or {"precision": cell.precision}
    return ",".join(f"{knob}={value}" for knob, value in own.items())


def _is_read_back(arm: str, cell: Cell, model: str, shared: dict[str, Any]) -> bool:
    """Whether the word is read as it is meant: a model's name may hold a comma."""
    try:
        knobs = ab.parse_arm("--a", arm)
    except UsageError:
        return False
    return Cell(id=cell.id, **{"model": model, **shared, **knobs}) == cell


def _format_rules(plan: Plan) -> list[str]:
    """What a matrix and an A/B have in common."""
    words: list[str] = []
    for spelt, name in (
        ("--warmup", "warmup"),
        ("--fidelity-positions", "fidelity_positions"),
        ("--timeout", "timeout_s"),
        ("--cost-per-hour", "cost_per_hour"),
        ("--seed", "seed"),
    ):
        if (value := getattr(plan, name)) != getattr(_DEFAULT_PLAN, name):
            words += [spelt, format_exact_number(value)]
    words += ["--allow-pickles"] if plan.allowed.pickles else []
    words += ["--trust-remote-code"] if plan.allowed.remote_code else []
    return words


def _format_percentage(value: float) -> str:
    """A share in percent, or plainly where only that is read back as the same number."""
    forms = (f"{value * 100:.12g}%", f"{value:.9f}".rstrip("0"))
    return next((form for form in forms if parse_percentage("--margin", form) == value), forms[0])
