"""Bounds of what a command line may ask for: numbers, amounts, names of models.

Commands and the matrix builder check their values here.
"""

from __future__ import annotations

from txtop.errors import UsageError
from txtop.plan.serving import MAX_NUMBER

MAX_NAME_CHARACTERS = 1_000
MAX_BUDGET_S = 86_400
_LEAST = {
    **dict.fromkeys(("iterations", "blocks", "requests", "max_batch"), 1),
    **dict.fromkeys(("warmup", "seed", "fidelity_positions"), 0),
}
_MOST = {"budget_s": MAX_BUDGET_S, "timeout_s": 864_000, "cost_per_hour": 1e9}


def check_rules(rules: object) -> None:
    """Raise `UsageError` for a rule of a command that is given and out of bounds, by its field."""
    for field, least in _LEAST.items():
        check_integer(f"--{field.replace('_', '-')}", getattr(rules, field, None), least)
    for field, most in _MOST.items():
        option = f"--{field.removesuffix('_s').replace('_', '-')}"
        unit = " seconds" if field.endswith("_s") else ""
        check_amount(option, getattr(rules, field, None), most, unit)


def check_integer(option: str, number: int | None, least: int = 1) -> None:
    """Raise `UsageError` for a number that is given and out of bounds."""
    if number is not None and not least <= number <= MAX_NUMBER:
        raise UsageError(f"{option} {number} is not between {least} and {MAX_NUMBER:,}")


def check_amount(option: str, value: float | None, most: float, unit: str = "") -> None:
    """Raise `UsageError` for an amount that is given and not above 0 and at most `most`."""
    if value is not None and not 0 < value <= most:
        bounds = f"above 0 and at most {format_plain(most)}{unit}"
        raise UsageError(f"{option} {format_plain(value)} is not {bounds}")


def format_plain(value: float) -> str:
    """Format a number as a person types it, with commas and without an exponent."""
    return f"{value:,.15g}"


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
