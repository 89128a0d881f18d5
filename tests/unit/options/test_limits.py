"""The bounds that `run` and `ab` share."""

from __future__ import annotations

from typing import Any

import pytest

from txtop.errors import UsageError
from txtop.options.ab_plan import ABOptions, build_ab_plan
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan

OUT_OF_BOUNDS = (
    ({"warmup": -1}, "--warmup -1 is not between 0 and 1000000"),
    ({"seed": 1_000_001}, "--seed 1000001 is not between 0 and 1000000"),
    ({"fidelity_positions": -1}, "--fidelity-positions -1 is not between 0 and 1000000"),
    ({"budget_s": 86_401.0}, "--budget 86401 is not between 0 and 86400 seconds"),
    ({"timeout_s": 0.0}, "--timeout 0 is not between 0 and 864000 seconds"),
    ({"cost_per_hour": -2.0}, "--cost-per-hour -2 is not between 0 and 1e\\+09"),
)


@pytest.mark.parametrize(("options", "message"), OUT_OF_BOUNDS)
def test_run_and_ab_refuse_the_same_values_in_the_same_words(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_plan(RunOptions(**options))
    with pytest.raises(UsageError, match=message):
        build_ab_plan("gpt2", (), {}, ABOptions(**options))
