"""What a command line may ask for: numbers within their bounds, names that can be names."""

from __future__ import annotations

from txtop.errors import UsageError

LARGEST = 1_000_000
LONGEST_NAME = 1_000


def whole(option: str, number: int | None, least: int = 1) -> None:
    """Raises `UsageError` where a number was given and is out of bounds."""
    if number is not None and not least <= number <= LARGEST:
        raise UsageError(f"{option} {number} is not between {least} and {LARGEST}")


def amount(option: str, value: float | None, most: float, unit: str = "") -> None:
    """Raises `UsageError` where an amount was given that is not above 0 and at most `most`."""
    if value is not None and not 0 < value <= most:
        raise UsageError(f"{option} {value:g} is not between 0 and {most:g}{unit}")


def seconds(option: str, value: float | None, most: float) -> None:
    amount(option, value, most, " seconds")


def model_name(value: str) -> None:
    """Raises `UsageError` for what is no name of a model on any machine."""
    if not value or not _encodable(value):
        raise UsageError(f"{value!a} is no model name")
    if len(value) > LONGEST_NAME:
        raise UsageError("a model name of over 1,000 characters")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
