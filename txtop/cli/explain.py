"""`txtop explain`: where the time of a cell goes, why it is slow, and what helped when tried."""

from __future__ import annotations

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
from txtop.options.ab_options import NO_EXPLAIN_KNOBS, ExplainKnobOptions, list_given
from txtop.options.explain_options import NO_EXPLAIN_RULES, ExplainRuleOptions


def explain(
    model: ModelArgument,
    /,
    *,
    shared: ExplainKnobOptions = NO_EXPLAIN_KNOBS,
    rules: ExplainRuleOptions = NO_EXPLAIN_RULES,
    name: NameOption = None,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Explain where the time of a cell goes, why it is slow, and with --try what helps here."""
    check_screen_options(screen)
    check_name_option(name, start)
    if name is not None and rules.try_changes:
        check_name_option(f"{name}-try", start)
    from txtop.cli.start import run_plan
    from txtop.options.explain_options import build_explain_plan

    plan = build_explain_plan(model, list_given(shared), rules)
    if not rules.try_changes:
        return run_plan(plan, name, start, screen)
    from txtop.cli.trial import run_with_trial

    return run_with_trial(plan, name, start, screen)
