"""Numbers as a command line spells them: lists and ranges (`1,8`, `128-1024*2`), and shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from txtop.errors import UsageError
from txtop.quantities import DURATION_FORMS, parse_duration

MAX_NUMBERS = 10_000
# Fewer numbers are easier to read as a list.
_MIN_RANGE = 4
_RANGE = re.compile(r"([0-9]{1,12})-([0-9]{1,12})([*+])([0-9]{1,12})")
_NUMBER = re.compile(r"[0-9]{1,12}")
_FORMS = "write 8, or 1,8,32, or 128-1024*2, or 16-64+16"


def parse_numbers(option: str, texts: Sequence[str] | None) -> list[int] | None:
    """Return the numbers in `texts`, in order and without repeats; `None` for `None`.

    `a-b*k` is a, a x k, … up to b; `a-b+k` is a, a + k, … up to b (as in llama-bench).
    Raises `UsageError`, which names `option`, for anything else.
    """
    if texts is None:
        return None
    numbers = [
        n for text in texts for part in text.split(",") for n in _parse_part(option, part.strip())
    ]
    return list(dict.fromkeys(numbers))


def _parse_part(option: str, part: str) -> list[int]:
    if _NUMBER.fullmatch(part):
        return [int(part)]
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"{option}: {part[:40]!a} is neither a number nor a range", _FORMS)
    low, high, step = int(match[1]), int(match[2]), int(match[4])
    grows = step > 1 and low > 0 if match[3] == "*" else step > 0
    if low > high or not grows:
        raise UsageError(f"{option}: the range {part} never ends or is empty", _FORMS)
    numbers = []
    while low <= high:
        numbers.append(low)
        low = low * step if match[3] == "*" else low + step
        if len(numbers) > MAX_NUMBERS:
            raise UsageError(f"{option}: the range {part} has over {MAX_NUMBERS} values")
    return numbers


def format_numbers(values: Sequence[int]) -> list[str]:
    """Return the arguments that spell `values`: four and more in even steps become one range."""
    if len(values) >= _MIN_RANGE and values[0] > 0:
        low, second, high = values[0], values[1], values[-1]
        for text in (f"{low}-{high}*{second // low}", f"{low}-{high}+{second - low}"):
            with suppress(UsageError):
                if _parse_part("", text) == list(values):
                    return [text]
    return list(map(str, values))


_SHARE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*(%?)")


def parse_percentage(option: str, text: str) -> float:
    """Return `3%` or `0.03` as a share of at least 0 and under 1. Raises `UsageError`."""
    match = _SHARE.fullmatch(text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 1.0
    if share >= 1:
        raise UsageError(
            f"{option}: {text[:40]!a} is not a percentage below 100 %", "write 3% or 0.03"
        )
    return share


def parse_seconds(option: str, text: str) -> float:
    """Return a duration as people type it, in seconds. Raises `UsageError`."""
    seconds = parse_duration(text)
    if seconds is None:
        raise UsageError(f"{option}: {text.strip()[:40]!a} is not a duration", DURATION_FORMS)
    return seconds


def parse_ms(option: str, text: str) -> float:
    """Return a duration in ms; a number without a unit is in ms. Raises `UsageError`."""
    ms = parse_duration(text, "ms")
    if ms is None:
        forms = "write 20, 20ms or 0.5s"
        raise UsageError(f"{option}: {text.strip()[:40]!a} is not a duration", forms)
    return ms


def describe_read_error(error: Exception) -> str:
    """Describe in a few words, without its path, why a file of options cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
