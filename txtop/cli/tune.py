"""`txtop tune`: the configuration to deploy, raced under limits of time, memory and quality."""

from __future__ import annotations

import sys

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
from txtop.options.ab_options import NOTHING_SHARED, SharedKnobOptions, list_given
from txtop.options.tune_options import NO_TUNE_RULES, TuneRuleOptions


def tune(
    model: ModelArgument,
    /,
    *,
    shared: SharedKnobOptions = NOTHING_SHARED,
    rules: TuneRuleOptions = NO_TUNE_RULES,
    name: NameOption = None,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Find the best configuration to deploy, confirm it against the default, and say what binds."""
    check_screen_options(screen)
    check_name_option(name, start)
    from txtop.cli.start import run_plan
    from txtop.forecast.memory_fit import require_process_memory
    from txtop.options.tune_plan import build_tune_plan
    from txtop.plan.option_names import spell_options
    from txtop.runner.machine_info import require_power_meter

    def say(line: str) -> None:
        print(spell_options(line, lists=False), file=sys.stderr)

    plan = build_tune_plan(model, list_given(shared), rules, say)
    assert plan.tuning is not None
    require_process_memory(plan.tuning.memory_bytes, plan.cells[0].device)
    if plan.tuning.objective == "energy":
        require_power_meter(cell.device for cell in plan.cells)
    return run_plan(plan, name, start, screen)
