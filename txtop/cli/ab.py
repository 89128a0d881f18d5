"""`txtop ab`: two or more arms that take turns, until it is known which is faster."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import AS_SET, AS_USUAL, ScreenOptions, StartOptions, check_display_options
from txtop.options.ab_options import NO_RULES, NOTHING_SHARED, ABRuleOptions, SharedKnobOptions

ARM_PARAMETER = Parameter(
    help="knobs of this arm: precision=bf16,threads=2", consume_multiple=False
)


def ab(
    model: Annotated[str, Parameter(help="a built-in name, local path, .gguf file, Hub name")],
    /,
    *,
    a: Annotated[str | None, ARM_PARAMETER] = None,
    b: Annotated[str | None, ARM_PARAMETER] = None,
    arm: Annotated[
        list[str] | None,
        Parameter(help="one more, each held against the first; repeat it", consume_multiple=False),
    ] = None,
    shared: SharedKnobOptions = NOTHING_SHARED,
    rules: ABRuleOptions = NO_RULES,
    start: StartOptions = AS_USUAL,
    screen: ScreenOptions = AS_SET,
) -> int:
    """Which arm is faster, by how much, and what it costs in quality; live."""
    check_display_options(screen.theme, screen.fps)
    from txtop.cli.start import run_plan
    from txtop.options import ab as arms

    given = [("--a", a), ("--b", b), *(("--arm", word) for word in arm or ())]
    plan = arms.build_ab_plan(
        model,
        [arms.parse_arm(option, word) for option, word in given if word is not None],
        {knob: value for knob, value in vars(shared).items() if value is not None},
        rules.checked(),
    )
    return run_plan(plan, start, screen)
