"""The plan of `txtop run`: a preset's values, overridden by options, then checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.formatting import format_count
from txtop.models import model_config, precision_needs
from txtop.models.model_path import make_absolute, make_assistant_absolute
from txtop.options import limits
from txtop.options.feasibility import drop_infeasible
from txtop.options.places import PlacesHere, parse_places
from txtop.options.presets import PRESETS, Preset, find_preset
from txtop.options.run_options import RunOptions
from txtop.options.serving import expand_traffic
from txtop.options.tasks import build_tasks, require_answerable
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS, Knob, as_list
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Allowed, Plan, alias_models
from txtop.system.device_names import get_cores, get_device_kind

MAX_CELLS = 10_000
# A log's header holds the plan in one line, and readers accept lines up to 1 MiB.
MAX_PLAN_BYTES = 1_000_000


class EmptyOptionError(UsageError):
    """An `option`, with its dashes, was given without any value."""

    def __init__(self, option: str) -> None:
        super().__init__(f"{option} needs at least one value")
        self.option = option


def build_plan(options: RunOptions, say: Callable[[str], None] = lambda _: None) -> Plan:
    """Build the plan that `options` ask for.

    `say` is called with a line for each reason to leave cells out. Raises `UsageError` for options
    that contradict each other or cannot be measured.
    """
    places = _parse_places(options) if options.devices is not None else ()
    cells, left_out = drop_infeasible(expand_cells(options))
    if not cells:
        raise UsageError(f"no cell is left: {left_out[0]}")
    for line in left_out:
        say(line)
    if places and not get_cores(places[0]) and any(cell.parallel != "none" for cell in cells):
        raise UsageError(
            "--parallel spreads a model over the GPUs that --devices gives a worker each",
            "CUDA_VISIBLE_DEVICES says which GPUs there are",
        )
    _require_cores(cells, places)
    for cell in cells:
        refusal = model_config.explain_refusal(cell)
        if refusal:
            raise UsageError(*refusal)
    cells = precision_needs.link_plain_models(cells)
    refusals = [precision_needs.explain_unavailable(cell) for cell in cells]
    if all(refusals):
        *others, last = dict.fromkeys(filter(None, refusals))
        raise UsageError("; ".join([*map(": ".join, others), last[0]]), last[1])
    base = get_preset_defaults(settle_device(options))
    iterations, budget_s = get_measuring_rule(options, base)
    plan = Plan(
        cells=cells,
        iterations=iterations,
        fitted=iterations is not None and budget_s is not None,
        warmup=base.warmup if options.warmup is None else options.warmup,
        seed=options.seed or 0,
        preset=options.preset,
        scale=options.scale or "full",
        timeout_s=options.timeout_s,
        cost_per_hour=options.cost_per_hour,
        profile=options.profile or "gpu",
        places=places,
        note="" if options.models or options.precisions else base.why,
        allowed=Allowed(
            pickles=bool(options.allow_pickles), remote_code=bool(options.trust_remote_code)
        ),
    )
    if budget_s is not None:
        plan = msgspec.structs.replace(plan, budget_s=budget_s)
    positions = options.fidelity_positions
    positions = base.fidelity_positions if positions is None else positions
    if positions is not None:
        plan = msgspec.structs.replace(plan, fidelity_positions=positions)
    if options.task is not None:
        plan = msgspec.structs.replace(plan, tasks=build_tasks(options.task))
        require_answerable(plan.tasks, (cell.model for cell in cells))
    if options.accuracy_margin is not None:
        plan = msgspec.structs.replace(plan, accuracy_margin=options.accuracy_margin)
    size = len(msgspec.json.encode(plan))
    if size > MAX_PLAN_BYTES:
        raise UsageError(
            f"{len(cells)} cells do not fit into one recording ({size:,} bytes of plan)",
            f"ask for about {len(cells) * MAX_PLAN_BYTES // size} or fewer",
        )
    return plan


def _require_cores(cells: tuple[Cell, ...], places: tuple[str, ...]) -> None:
    """Raise `UsageError` for more threads than a place has cores."""
    most = max((cell.threads or 0 for cell in cells), default=0)
    for place in places:
        cores = get_cores(place)
        if cores and most > len(cores):
            count = format_count(len(cores), "core")
            raise UsageError(f"--threads {most} in {place}, which has {count}", "as many, or none")


def expand_cells(options: RunOptions) -> tuple[Cell, ...]:
    """Return a cell for every combination, also for those that a plan leaves out or refuses.

    Raises `UsageError` for options that contradict each other and for too many cells.
    """
    options = settle_device(options)
    _check(options)
    base = get_preset_defaults(options)
    chosen = {
        knob.option: get_given_values(options, knob) or get_default_values(base, knob)
        for knob in KNOBS
    }
    chosen["models"] = list(dict.fromkeys(map(make_absolute, chosen["models"])))
    chosen["speculative"] = list(map(make_assistant_absolute, chosen["speculative"]))
    if chosen["prompts"]:
        # The file has its own lengths.
        chosen["sequence_lengths"] = []
    cells = expand_matrix(loads=expand_traffic(options), **chosen)
    # A preset that names several means each of them.
    if options.attention or chosen["attention"] != ["sdpa"]:
        cells = tuple(cell.ask_attention() for cell in cells)
    if len(cells) > MAX_CELLS:
        raise UsageError(f"{len(cells)} cells are more than {MAX_CELLS}", "ask for fewer values")
    return alias_models(cells)


def settle_device(options: RunOptions) -> RunOptions:
    """Return the options with the kind of their `devices` as the device of every cell.

    Raises `UsageError` for a device beside them, and for places that are none here.
    """
    if options.devices is None:
        return options
    if options.device is not None:
        raise UsageError(
            "--device and --devices contradict each other", "--devices names every place"
        )
    # The knobs' fields are made from their table, which mypy does not see.
    kind: dict[str, Any] = {"device": get_device_kind(_parse_places(options)[0])}
    return replace(options, **kind)


def _parse_places(options: RunOptions) -> tuple[str, ...]:
    return parse_places(options.devices or (), PlacesHere.read())


def get_preset_defaults(options: RunOptions) -> Preset:
    """Return the preset of `options` for this machine; an empty one if none was given."""
    if options.preset is None:
        return Preset(title="")
    return find_preset(options.preset, scale=options.scale or "full", device=options.device)


def get_measuring_rule(options: RunOptions, base: Preset) -> tuple[int | None, float | None]:
    """Return the number of iterations and the budget of each cell, each `None` if there is none.

    One of the two that is given alone replaces both of the preset.
    """
    given = options.iterations, options.budget_s
    return given if given != (None, None) else (base.iterations, base.budget_s)


def get_given_values(options: RunOptions, knob: Knob) -> list[Any]:
    """Return the values of a knob that were given."""
    return as_list(getattr(options, knob.option))


def get_default_values(base: Preset, knob: Knob) -> list[Any]:
    """Return the values that a knob has where none were given."""
    return as_list(getattr(base, knob.option, knob.default))


def _check(options: RunOptions) -> None:
    several = {knob.flag: getattr(options, knob.option) for knob in KNOBS if knob.several}
    several |= {"--scenario": options.scenario, "--rate": options.rate}
    several |= {"--concurrency": options.concurrency, "--task": options.task}
    for option, values in several.items():
        if values is not None and not values:
            raise EmptyOptionError(option)
        for value in values or ():
            _check_value(option, value)
    if options.preset is not None and options.preset not in PRESETS:
        hint = did_you_mean(options.preset, PRESETS, f"presets: {', '.join(PRESETS)}")
        raise UsageError(f"no preset {options.preset[:40]!a}", hint)
    if options.scale == "smoke" and options.preset is None:
        raise UsageError("--scale shrinks a preset", "add --preset")
    if options.prompts:
        for option in ("sequence_lengths", "lengths"):
            if getattr(options, option) is not None:
                flag = f"--{option.replace('_', '-')}"
                raise UsageError(
                    f"{flag} and --prompts contradict each other", "a file has its own lengths"
                )
    limits.check_rules(options)


def _check_value(option: str, value: object) -> None:
    if isinstance(value, int):
        limits.check_integer(option, value)
    if option == "--models" and isinstance(value, str):
        limits.check_model_name(value)
