"""The options of `txtop ab` beside its arms, as dataclasses that cyclopts reads."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from txtop.options.groups import LONG, WHAT, WHERE
from txtop.options.run_options import SECTIONS
from txtop.plan.knobs import KNOBS, Knob
from txtop.plan.plan import Profile


def build_ab_field(knob: Knob) -> tuple[str, Any, None]:
    """Return the dataclass field of a knob: the value that all arms share."""
    parameter = Parameter(
        # A user who knows `run` types its option: `--batch-sizes` works like `--batch-size`.
        name=list(dict.fromkeys([f"--{knob.single}", knob.flag])),
        help=knob.help,
        group=SECTIONS[knob.section],
    )
    return knob.field, Annotated[knob.type | None, parameter], None


if TYPE_CHECKING:
    from txtop.options.ab import ABOptions

    class SharedKnobOptions:
        """The knobs that all arms share, by field; `None` for one not given."""

        def __getattr__(self, field: str) -> Any: ...
else:
    SharedKnobOptions = Parameter(name="*")(
        make_dataclass(
            "SharedKnobOptions",
            [build_ab_field(knob) for knob in KNOBS if knob.field != "model"],
            frozen=True,
            kw_only=True,
            # Without a module cyclopts takes the class for a built-in and ignores its fields.
            namespace={"__module__": __name__},
        )
    )


@Parameter(name="*", group=LONG)
@dataclass(frozen=True, kw_only=True)
class ABRuleOptions:
    """The rules of an A/B as typed: how long it runs and what it decides."""

    margin: Annotated[str, Parameter(help="the difference that matters; 2% or 0.02")] = "2%"
    budget: Annotated[
        float | None, Parameter(help="time limit for measuring, all arms together, s; default 120")
    ] = None
    blocks: Annotated[int | None, Parameter(help="measure exactly so many blocks")] = None
    warmup: Annotated[int | None, Parameter(help="this many iterations; default until steady")] = (
        None
    )
    timeout: Annotated[float | None, Parameter(help="time limit for loading an arm, s")] = None
    cost_per_hour: Annotated[float | None, Parameter(group=WHERE, help="of this machine")] = None
    seed: Annotated[int, Parameter(group=WHAT, help="of inputs, random weights and the order")] = 0
    fidelity_positions: Annotated[
        int | None,
        Parameter(group=WHAT, help="compared to tell what a faster arm costs; 0: none"),
    ] = None
    profile: Annotated[
        Profile, Parameter(group=WHAT, help="gpu: the share of a step in which a GPU computes")
    ] = "gpu"
    allow_pickles: Annotated[bool, Parameter(group=WHAT, help="read pickled weights")] = False
    trust_remote_code: Annotated[bool, Parameter(group=WHAT, help="run a repository's classes")] = (
        False
    )

    def checked(self) -> ABOptions:
        """Return the rules with numbers for texts. Raises `UsageError`."""
        from txtop.options.ab import ABOptions
        from txtop.options.parsing import parse_percentage
        from txtop.plan.plan import Allowed

        return ABOptions(
            margin=parse_percentage("--margin", self.margin),
            budget_s=self.budget,
            blocks=self.blocks,
            warmup=self.warmup,
            timeout_s=self.timeout,
            cost_per_hour=self.cost_per_hour,
            seed=self.seed,
            fidelity_positions=self.fidelity_positions,
            profile=self.profile,
            allowed=Allowed(pickles=self.allow_pickles, remote_code=self.trust_remote_code),
        )


NOTHING_SHARED = SharedKnobOptions()
NO_RULES = ABRuleOptions()
