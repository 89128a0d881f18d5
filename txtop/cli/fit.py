"""`txtop fit`: the largest batch and the longest prompt that run, and what is one step beyond."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
from txtop.errors import UsageError
from txtop.options.ab_options import NO_FIT_KNOBS, FitKnobOptions, list_given
from txtop.options.fit_options import NO_FIT_RULES, FitRuleOptions

if TYPE_CHECKING:
    from txtop.plan.plan import EdgeSearch


def fit(
    model: ModelArgument,
    /,
    *,
    shared: FitKnobOptions = NO_FIT_KNOBS,
    rules: FitRuleOptions = NO_FIT_RULES,
    name: NameOption = None,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Find the largest batch or prompt that fits into memory, and show both sides of the edge."""
    check_screen_options(screen)
    check_name_option(name, start)
    from txtop.cli.start import run_plan
    from txtop.forecast import fit_plan

    search = fit_plan.build_search(model, list_given(shared), rules)
    if (free_bytes := fit_plan.find_too_little(search)) is not None:
        return _print_forecast(search, free_bytes, name, start)
    return run_plan(fit_plan.build_fit_plan(search, rules), name, start, screen)


def _print_forecast(
    search: EdgeSearch, free_bytes: int, name: str | None, start: StartOptions
) -> int:
    """Print, and with `--json` export, what is forecast for more memory than is free here.

    Raises `UsageError` for options about a recording, which there is none of.
    """
    from txtop.cli.output import write_output
    from txtop.export.text.edge import export_predictions, format_predictions
    from txtop.forecast.fit_plan import predict_edges

    for option, given in (("--name", name is not None), ("--detach", start.detach)):
        if given:
            raise UsageError(
                f"{option}: nothing runs and nothing is recorded, as --memory is more than is free",
                f"leave out {option}",
            )
    predictions = predict_edges(search)
    text = format_predictions(search, predictions, free_bytes)
    if start.json_file is not None:
        write_output(start.json_file, export_predictions(search, predictions, free_bytes))
    print(text, end="", file=sys.stderr if start.json_file == "-" else sys.stdout)
    return 0
