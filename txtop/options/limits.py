"""Bounds of what a command line may ask for: numbers, amounts, names of models.

`run`, `ab` and the matrix builder check their values here.
"""

from __future__ import annotations

from typing import Protocol

from txtop.errors import UsageError
from txtop.plan.serving import MAX_NUMBER

MAX_NAME_CHARACTERS = 1_000
MAX_BUDGET_S = 86_400
MAX_TIMEOUT_S = 864_000
MAX_COST_PER_HOUR = 1e9


class CommonRules(Protocol):
    """The rules that `run` and `ab` share; `None` where one was not given."""

    @property
    def warmup(self) -> int | None: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def fidelity_positions(self) -> int | None: ...
    @property
    def budget_s(self) -> float | None: ...
    @property
    def timeout_s(self) -> float | None: ...
    @property
    def cost_per_hour(self) -> float | None: ...


def check_common_rules(rules: CommonRules) -> None:
    """Check the rules that `run` and `ab` share. Raises `UsageError` for one out of bounds."""
    check_integer("--warmup", rules.warmup, 0)
    check_integer("--seed", rules.seed, 0)
    check_integer("--fidelity-positions", rules.fidelity_positions, 0)
    check_seconds("--budget", rules.budget_s, MAX_BUDGET_S)
    check_seconds("--timeout", rules.timeout_s, MAX_TIMEOUT_S)
    check_amount("--cost-per-hour", rules.cost_per_hour, MAX_COST_PER_HOUR)


def check_integer(option: str, number: int | None, least: int = 1) -> None:
    """Raise `UsageError` for a number that is given and out of bounds."""
    if number is not None and not least <= number <= MAX_NUMBER:
        raise UsageError(f"{option} {number} is not between {least} and {MAX_NUMBER}")


def check_amount(option: str, value: float | None, most: float, unit: str = "") -> None:
    """Raise `UsageError` for an amount that is given and not above 0 and at most `most`."""
    if value is not None and not 0 < value <= most:
        raise UsageError(f"{option} {value:g} is not between 0 and {most:g}{unit}")


def check_seconds(option: str, value: float | None, most: float) -> None:
    """Raise `UsageError` for seconds that are given and not above 0 and at most `most`."""
    check_amount(option, value, most, " seconds")


def check_model_name(value: str) -> None:
    """Raise `UsageError` for a text that cannot be the name of a model on any machine."""
    if not value or not _is_encodable(value):
        raise UsageError(f"{value!a} is not a valid model name")
    if len(value) > MAX_NAME_CHARACTERS:
        raise UsageError("a model name of over 1,000 characters")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
