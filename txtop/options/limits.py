"""What a command line may ask for: numbers within their bounds, names that can be names."""

from __future__ import annotations

from txtop.errors import UsageError

MAX_NUMBER = 1_000_000
MAX_NAME_CHARACTERS = 1_000


def check_integer(option: str, number: int | None, least: int = 1) -> None:
    """Raises `UsageError` where a number was given and is out of bounds."""
    if number is not None and not least <= number <= MAX_NUMBER:
        raise UsageError(f"{option} {number} is not between {least} and {MAX_NUMBER}")


def check_amount(option: str, value: float | None, most: float, unit: str = "") -> None:
    """Raises `UsageError` where an amount was given that is not above 0 and at most `most`."""
    if value is not None and not 0 < value <= most:
        raise UsageError(f"{option} {value:g} is not between 0 and {most:g}{unit}")


def check_seconds(option: str, value: float | None, most: float) -> None:
    check_amount(option, value, most, " seconds")


def check_model_name(value: str) -> None:
    """Raises `UsageError` for what is no name of a model on any machine."""
    if not value or not _is_encodable(value):
        raise UsageError(f"{value!a} is no model name")
    if len(value) > MAX_NAME_CHARACTERS:
        raise UsageError("a model name of over 1,000 characters")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
