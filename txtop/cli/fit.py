"""`txtop fit`: the largest batch and the longest prompt that run, and what is one step beyond."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import (
    DEFAULT_SCREEN,
    DEFAULT_START,
    NameOption,
    ScreenOptions,
    StartOptions,
    check_screen_options,
)
from txtop.options.ab_options import NOTHING_SHARED, SharedKnobOptions
from txtop.options.fit_options import NO_FIT_RULES, FitRuleOptions


def fit(
    model: Annotated[str, Parameter(help="a built-in name, local path, .gguf file, Hub name")],
    /,
    *,
    shared: SharedKnobOptions = NOTHING_SHARED,
    rules: FitRuleOptions = NO_FIT_RULES,
    name: NameOption = None,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Find the largest batch or prompt that fits into memory, and show both sides of the edge."""
    check_screen_options(screen)
    from txtop.cli.start import run_plan
    from txtop.forecast import fit_plan

    given = {knob: value for knob, value in vars(shared).items() if value is not None}
    search = fit_plan.build_search(model, given, rules)
    if fit_plan.exceeds_machine(search):
        from txtop.export.text.edge import format_predictions

        print(format_predictions(search, fit_plan.predict_edges(search)), end="")
        return 0
    return run_plan(fit_plan.build_fit_plan(search, rules), name, start, screen)
