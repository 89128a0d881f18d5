"""The options of `txtop ab` beside its arms, as dataclasses that cyclopts reads."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from txtop.options.help_groups import LONG, WHAT, WHERE
from txtop.options.run_options import (
    SECTIONS,
    AccuracyMarginOption,
    TaskOption,
    build_duration_parameter,
    build_type,
    build_value_converter,
)
from txtop.plan.knobs import KNOBS, Knob
from txtop.plan.plan import DEFAULT_MARGIN, Profile

PicklesOption = Annotated[bool, Parameter(group=WHAT, help="read pickled weights")]
RemoteCodeOption = Annotated[bool, Parameter(group=WHAT, help="run a repository's classes")]


def build_ab_field(knob: Knob, *, show: bool) -> tuple[str, Any, None]:
    """Return the dataclass field of a knob: the value that all arms share."""
    parameter = Parameter(
        show=show,
        name=f"--{knob.single}",
        help=knob.help,
        group=SECTIONS[knob.section],
        metavar=knob.single.upper() if knob.parse else None,
        converter=build_value_converter(f"--{knob.single}", knob.parse),
    )
    return knob.field, Annotated[build_type(knob) | None, parameter], None


if TYPE_CHECKING:
    from txtop.options.ab_plan import ABOptions

    class SharedKnobOptions:
        """The knobs that all arms share, by field; `None` for one not given."""

        def __getattr__(self, field: str) -> Any: ...

    class FitKnobOptions(SharedKnobOptions): ...

    class ExplainKnobOptions(SharedKnobOptions): ...
else:

    def _build_knob_options(name: str, *refused: str) -> type:
        """Build the options of a command that refuses, and so does not show, some knobs."""
        return Parameter(name="*")(
            make_dataclass(
                name,
                [
                    build_ab_field(knob, show=knob.field not in ("prefix_cache", *refused))
                    for knob in KNOBS
                    if knob.field != "model"
                ],
                frozen=True,
                kw_only=True,
                # Without a module cyclopts takes the class for a built-in and ignores its fields.
                namespace={"__module__": __name__},
            )
        )

    # A prefix cache is for servers, which `run` alone measures.
    SharedKnobOptions = _build_knob_options("SharedKnobOptions")
    FitKnobOptions = _build_knob_options("FitKnobOptions", "parallel", "prompts", "chat_template")
    ExplainKnobOptions = _build_knob_options("ExplainKnobOptions", "parallel", "speculative")


@Parameter(name="*", group=LONG)
@dataclass(frozen=True, kw_only=True)
class ABRuleOptions:
    """The rules of an A/B as typed: how long it runs and what it decides."""

    margin: Annotated[
        str, Parameter(help="smallest difference that matters, as 1% or 0.01; default 2%")
    ] = f"{DEFAULT_MARGIN:.0%}"
    budget_s: Annotated[
        float | None,
        build_duration_parameter(
            "--budget", "time limit for measuring, all arms together, as 90s or 2m; default 120"
        ),
    ] = None
    blocks: Annotated[
        int | None, Parameter(help="measure exactly this many blocks, in each start")
    ] = None
    starts: Annotated[
        int,
        Parameter(
            help="starts of each arm in fresh processes, over which the interval is; default 1"
        ),
    ] = 1
    warmup: Annotated[
        int | None, Parameter(help="exactly this many iterations; default until steady")
    ] = None
    timeout_s: Annotated[
        float | None,
        build_duration_parameter("--timeout", "time limit for loading an arm, as 90s or 2m"),
    ] = None
    cost_per_hour: Annotated[
        float | None,
        Parameter(group=WHERE, help="price of this machine; adds the cost of a million tokens"),
    ] = None
    seed: Annotated[
        int, Parameter(group=WHAT, help="seed of inputs, weights and order of turns; default 0")
    ] = 0
    fidelity_positions: Annotated[
        int | None,
        Parameter(
            group=WHAT,
            help="positions compared to judge a faster arm; default 2048, 0: no comparison",
        ),
    ] = None
    task: TaskOption = None
    accuracy_margin: AccuracyMarginOption = None
    profile: Annotated[
        Profile, Parameter(group=WHAT, help="gpu: the share of a step in which a GPU computes")
    ] = "gpu"
    allow_pickles: PicklesOption = False
    trust_remote_code: RemoteCodeOption = False

    def to_ab_options(self) -> ABOptions:
        """Return the rules with numbers for texts. Raises `UsageError`."""
        from txtop.options.ab_plan import ABOptions
        from txtop.options.parsing import parse_percentage
        from txtop.options.tasks import build_tasks
        from txtop.plan.plan import Allowed

        return ABOptions(
            margin=parse_percentage("--margin", self.margin),
            budget_s=self.budget_s,
            blocks=self.blocks,
            starts=self.starts,
            warmup=self.warmup,
            timeout_s=self.timeout_s,
            cost_per_hour=self.cost_per_hour,
            seed=self.seed,
            fidelity_positions=self.fidelity_positions,
            tasks=build_tasks(self.task or ()),
            accuracy_margin=self.accuracy_margin,
            profile=self.profile,
            allowed=Allowed(pickles=self.allow_pickles, remote_code=self.trust_remote_code),
        )


def list_given(shared: SharedKnobOptions) -> dict[str, Any]:
    """Return the shared knobs that were given, by field."""
    return {field: value for field, value in vars(shared).items() if value is not None}


NOTHING_SHARED = SharedKnobOptions()
NO_FIT_KNOBS = FitKnobOptions()
NO_EXPLAIN_KNOBS = ExplainKnobOptions()
NO_RULES = ABRuleOptions()
