"""The options of `txtop run`, as dataclasses that cyclopts reads: a field is an option.

The options of a cell's knobs are made from the table of knobs; the others are written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from txtop.options.help_groups import LONG, SERVING, WHAT, WHERE
from txtop.options.parsing import parse_ms, parse_numbers, parse_seconds
from txtop.options.presets import PresetName, PresetScale
from txtop.options.tasks import parse_margin
from txtop.plan.knobs import KNOBS, Knob
from txtop.plan.plan import Profile
from txtop.plan.serving import Scenario

if TYPE_CHECKING:
    from cyclopts import Token

SECTIONS = {group.name: group for group in (WHAT, WHERE)}


def build_range_converter(flag: str) -> Callable[[Any, Sequence[Token]], list[int] | None]:
    """Return a converter that reads `1 8 32`, `1,8,32` and `1-64*2`."""
    return lambda _type, tokens: parse_numbers(flag, [token.value for token in tokens])


def build_type(knob: Knob) -> Any:
    """Return the type of one value for cyclopts, which completes the members of a Literal."""
    return Literal[*knob.offers] | knob.type if knob.parse and knob.offers else knob.type


def build_value_converter(
    flag: str, parse: Callable[[str, str], Any] | None, *, several: bool = False
) -> Callable[[Any, Sequence[Token]], Any] | None:
    """Return a converter that reads a value, or `several`, with `parse`; `None`: cyclopts reads."""
    if parse is None:
        return None
    if several:
        return lambda _type, tokens: [parse(flag, token.value) for token in tokens]
    return lambda _type, tokens: parse(flag, tokens[-1].value)


def build_duration_parameter(
    flag: str, help: str, parse: Callable[[str, str], float] = parse_seconds, **more: Any
) -> Parameter:
    """Build the parameter of an option that takes a duration, as `30`, `30s`, `2m` or `1h30m`."""
    converter = build_value_converter(flag, parse)
    return Parameter(name=flag, converter=converter, metavar="TIME", help=help, **more)


TaskOption = Annotated[
    list[str] | None,
    Parameter(
        group=WHAT,
        help="also answer these: .jsonl files, directories, or arithmetic, facts, pairs …",
    ),
]
AccuracyMarginOption = Annotated[
    float | None,
    Parameter(
        group=WHAT,
        converter=build_value_converter("--accuracy-margin", parse_margin),
        metavar="POINTS",
        help="loss of accuracy that does not matter, as 1pt or 0.01; default 1pt",
    ),
]


def build_run_field(knob: Knob) -> tuple[str, Any, None]:
    """Return the dataclass field of a knob: its values, `None` if none were given."""
    kind = build_type(knob)
    hint: Any = list[kind] if knob.several else kind  # type: ignore[valid-type]
    parameter = Parameter(
        help="; ".join(filter(None, (knob.help, knob.list_help))),
        group=SECTIONS[knob.section],
        converter=build_range_converter(knob.flag)
        if knob.is_number
        else build_value_converter(knob.flag, knob.parse, several=knob.several),
        metavar="INT..." if knob.is_number else knob.single.upper() if knob.parse else None,
        # Without it cyclopts reads a leading `none` as no value and rejects the values after it.
        n_tokens=-1 if knob.several else None,
    )
    return knob.option, Annotated[hint | None, parameter], None


if TYPE_CHECKING:

    class KnobOptions:
        """The knobs of a cell, by option: a list of values, one value, or `None` if not given."""

        def __getattr__(self, option: str) -> Any: ...
else:
    KnobOptions = make_dataclass(
        "KnobOptions",
        map(build_run_field, KNOBS),
        frozen=True,
        kw_only=True,
        namespace={"__module__": __name__},
    )


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """The options about requests, as given; `None` for one that was not."""

    scenario: Annotated[
        Sequence[Scenario] | None,
        Parameter(
            group=SERVING,
            help="static: full batches; the others serve requests; default static",
        ),
    ] = None
    rate: Annotated[
        Sequence[str] | None,
        Parameter(group=SERVING, help="requests per second (Poisson); sweep: to past saturation"),
    ] = None
    concurrency: Annotated[
        Sequence[int] | None,
        Parameter(
            group=SERVING,
            converter=build_range_converter("--concurrency"),
            metavar="INT...",
            help="closed-loop clients; default as many as fit a batch",
        ),
    ] = None
    requests: Annotated[
        int | None, Parameter(group=SERVING, help="requests per serving cell; default 150")
    ] = None
    max_batch: Annotated[
        int | None, Parameter(group=SERVING, help="requests served at once; default 8")
    ] = None
    max_wait_ms: Annotated[
        float | None,
        build_duration_parameter(
            "--max-wait-ms",
            "dynamic: how long a batch waits for more, as 20 or 20ms; default 20",
            parse_ms,
            group=SERVING,
        ),
    ] = None
    lengths: Annotated[
        str | None,
        Parameter(
            group=SERVING,
            help="lengths: fixed (default), uniform, lognormal, or a file of lines prompt,new",
        ),
    ] = None
    slo: Annotated[
        str | None,
        Parameter(group=SERVING, help="what counts as goodput: ttft=200ms,tpot=50ms,e2e=2s"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """The options that apply to all cells; `None` for one that was not given."""

    iterations: Annotated[
        int | None, Parameter(group=LONG, help="measure exactly this many; with --budget at most")
    ] = None
    warmup: Annotated[
        int | None, Parameter(group=LONG, help="this many iterations; default until steady")
    ] = None
    budget_s: Annotated[
        float | None,
        build_duration_parameter(
            "--budget",
            "time limit per cell for warm-up and measuring, as 30, 90s or 2m; default 30",
            group=LONG,
        ),
    ] = None
    timeout_s: Annotated[
        float | None,
        build_duration_parameter(
            "--timeout",
            "time limit per cell, loading included, as 90s, 2m or 1h30m",
            group=LONG,
        ),
    ] = None
    devices: Annotated[
        list[str] | None,
        Parameter(
            group=WHERE,
            n_tokens=-1,
            metavar="PLACE...",
            help="cells side by side, one worker a place: all, 0-3, cuda:0 cuda:1, cpu:0-3 cpu:4-7",
        ),
    ] = None
    cost_per_hour: Annotated[
        float | None,
        Parameter(group=WHERE, help="price of this machine; adds the cost of a million tokens"),
    ] = None
    seed: Annotated[
        int | None, Parameter(group=WHAT, help="seed of inputs, weights and traffic; default 0")
    ] = None
    fidelity_positions: Annotated[
        int | None,
        Parameter(
            group=WHAT,
            help="positions compared to judge a precision; default 2048, 0: no comparison",
        ),
    ] = None
    task: TaskOption = None
    accuracy_margin: AccuracyMarginOption = None
    profile: Annotated[
        Profile | None,
        Parameter(group=WHAT, help="gpu: the share of a step in which a GPU computes; default gpu"),
    ] = None
    preset: Annotated[
        PresetName | None, Parameter(group=WHAT, help="a plan with a name; options override it")
    ] = None
    scale: Annotated[
        PresetScale | None,
        Parameter(group=WHAT, help="smoke: a preset within a minute; default full"),
    ] = None
    allow_pickles: Annotated[
        bool | None, Parameter(group=WHAT, help="read pickled weights, which can run code")
    ] = None
    trust_remote_code: Annotated[
        bool | None, Parameter(group=WHAT, help="run the classes that a repository brings")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions(CommonOptions, ServingOptions, KnobOptions):
    """The options of `run`, as given; `None` for one that was not.

    So a plan file keeps only what was typed, and an option overrides it even with the default.
    """

    if TYPE_CHECKING:

        def __init__(self, **options: Any) -> None: ...

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by their keys in a plan file."""
        keys = {name: key for key, name in SECONDS.items()}
        return {keys.get(k, k): v for k, v in vars(self).items() if v is not None}


# Fields that have another name than their option: a field names its unit.
SECONDS = {"budget": "budget_s", "timeout": "timeout_s"}
NOTHING = RunOptions()
