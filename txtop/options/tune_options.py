"""The options of `txtop tune`, as dataclasses that cyclopts reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from txtop.options.ab_options import PicklesOption, RemoteCodeOption
from txtop.options.help_groups import LONG, WHAT, WHERE
from txtop.options.run_options import TaskOption, build_duration_parameter
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.plan.tuning import DEFAULT_FLOOR, FLOORS, MINIMISED, RATES


@Parameter(name="*", group=WHAT)
@dataclass(frozen=True, kw_only=True)
class TuneRuleOptions:
    """The rules of a race as typed: what is best, what must be kept, and how long it may take."""

    maximise: Annotated[
        str | None,
        Parameter(help=f"{', '.join(RATES)}; default the first"),
    ] = None
    minimise: Annotated[
        str | None, Parameter(help=f"{', '.join(MINIMISED)}; cost needs --cost-per-hour")
    ] = None
    slo: Annotated[str | None, Parameter(help="limits of a call: ttft:p90<200ms,tpot:p90<50ms")] = (
        None
    )
    floor: Annotated[
        str, Parameter(help=f"least quality: {', '.join(FLOORS)}, kld<=0.01, none")
    ] = DEFAULT_FLOOR
    task: TaskOption = None
    min_accuracy: Annotated[
        str | None,
        Parameter(
            help="least difference from the reference in a --task; default -1pt",
            allow_leading_hyphen=True,
            metavar="POINTS",
        ),
    ] = None
    memory: Annotated[
        str | None,
        Parameter(help="memory of the machine to deploy to, as 24GiB; default what is free"),
    ] = None
    space: Annotated[
        list[str] | None,
        Parameter(
            help="options of run, as precisions=fp32,bf16 batch-sizes=1,8; default all that"
            " makes sense here",
            consume_multiple=True,
            metavar="OPTION=VALUES",
        ),
    ] = None
    margin: Annotated[
        str,
        Parameter(group=LONG, help="smallest difference that matters, as 1% or 0.01; default 2%"),
    ] = f"{DEFAULT_MARGIN:.0%}"
    budget_s: Annotated[
        float | None,
        build_duration_parameter(
            "--budget",
            "time of measuring in all, without warm-up; a minimal confirmation may exceed it;"
            " default 20 % of what a sweep would measure",
            group=LONG,
        ),
    ] = None
    timeout_s: Annotated[
        float | None,
        build_duration_parameter(
            "--timeout", "time limit for loading and one turn of a candidate", group=LONG
        ),
    ] = None
    cost_per_hour: Annotated[
        float | None, Parameter(group=WHERE, help="price of this machine, for --minimise cost")
    ] = None
    seed: Annotated[int, Parameter(help="seed of inputs, weights and order; default 0")] = 0
    fidelity_positions: Annotated[
        int | None, Parameter(help="positions compared to judge a precision; default 2048")
    ] = None
    allow_pickles: PicklesOption = False
    trust_remote_code: RemoteCodeOption = False


NO_TUNE_RULES = TuneRuleOptions()
