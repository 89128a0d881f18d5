"""The facts about presets and models on the home screen: how long a preset takes, what is here.

Apart from the source because each fact takes a while.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

from txtop.forecast.duration import estimate_duration
from txtop.forecast.history import RunHistory
from txtop.models.builtin import describe_model, find_builtin
from txtop.models.model_config import find_family
from txtop.models.model_size import find_parameter_count
from txtop.options.presets import PRESETS
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.sanitise import sanitise
from txtop.ui.models.ab_choices import list_ab_models
from txtop.ui.models.home import StartFacts


def gather_start_facts(past: RunHistory | None) -> Iterator[StartFacts]:
    """Look up one thing at each step; yield what is known after it."""
    times: dict[str, str] = {}
    # The quick preset has a line of its own, which says how long it takes.
    for name in (name for name in PRESETS if name != "quick"):
        times[name] = estimate_preset(name, past or RunHistory())
        yield StartFacts(dict(times))
    models: list[tuple[str, str]] = []
    for listed in list_ab_models():
        with suppress(Exception):  # A file of any kind is read: a model without a kind is left out.
            family = find_family(listed.model)
            if family is None:
                continue
            kind = describe_model(family, find_parameter_count(listed.model))
            place = "built-in" if find_builtin(listed.model) else listed.source
            models.append((listed.name, sanitise(f"{kind}, {place}", 120)))
        yield StartFacts(times, tuple(models))


def estimate_preset(name: str, past: RunHistory) -> str:
    """Return `about 2 min`, or the bound that the budget sets where this machine has not measured
    it; empty where there is none."""
    try:
        duration = estimate_duration(build_plan(RunOptions(preset=name)), past)
    except Exception:
        # A preset reads what machine and models have: without its time the screen works as well.
        return ""
    if duration.seconds is None:
        return ""
    minutes = max(1, math.ceil(duration.seconds / 60))
    return f"up to {minutes} min, plus loading" if duration.most else f"about {minutes} min"
