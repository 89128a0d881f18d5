"""`txtop ab`: two or more arms that take turns until the faster one is decided."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import (
    DEFAULT_SCREEN,
    DEFAULT_START,
    ModelArgument,
    NameOption,
    ScreenOptions,
    StartOptions,
    check_name_option,
    check_screen_options,
)
from txtop.options.ab_options import (
    NO_RULES,
    NOTHING_SHARED,
    ABRuleOptions,
    SharedKnobOptions,
    list_given,
)

ARM_PARAMETER = Parameter(
    help="knobs of this arm: precision=bf16,threads=2", consume_multiple=False
)


def ab(
    model: ModelArgument,
    /,
    *,
    a: Annotated[str | None, ARM_PARAMETER] = None,
    b: Annotated[str | None, ARM_PARAMETER] = None,
    arm: Annotated[
        list[str] | None,
        Parameter(help="one more, compared with the first; repeat it", consume_multiple=False),
    ] = None,
    shared: SharedKnobOptions = NOTHING_SHARED,
    rules: ABRuleOptions = NO_RULES,
    name: NameOption = None,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Decide which arm is faster, by how much, and what that costs in quality; live."""
    check_screen_options(screen)
    check_name_option(name, start)
    from txtop.cli.start import run_plan
    from txtop.options.ab_plan import build_ab_plan, parse_arm

    given = [("--a", a), ("--b", b), *(("--arm", text) for text in arm or ())]
    arms = [parse_arm(option, text) for option, text in given if text is not None]
    if b is not None and len(arms) == 1:
        # A second arm alone is compared with the defaults and what both share.
        arms = [{}, *arms]
    plan = build_ab_plan(
        model,
        arms,
        list_given(shared),
        rules.to_ab_options(),
    )
    return run_plan(plan, name, start, screen)
