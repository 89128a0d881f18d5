"""Parse durations and sizes as people type them: `90`, `30s`, `2m`, `1h30m`; `24GiB`, `24G`.

The one parser of each, for every option, variable, plan file and input of the screen.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from txtop.units import NS_PER_S

DURATION_FORMS = "write 30, 30s, 2m or 1h30m"
SIZE_FORMS = "write 24GiB, 24G or 500MB"

_NUMBER = r"(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
_DURATION = re.compile(
    rf"(?:({_NUMBER})h)?(?:({_NUMBER})m(?:in)?)?(?:({_NUMBER})s(?:ec)?)?(?:({_NUMBER})ms)?"
)
_PARTS = {"s": (3600.0, 60.0, 1.0, 0.001), "ms": (3_600_000.0, 60_000.0, 1000.0, 1.0)}
# As a command that was printed spells a small one, with an exponent too.
_PLAIN = re.compile(_NUMBER + r"(?:e[+-]?[0-9]{1,3})?")
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_SIZE = re.compile(rf"({_NUMBER})([kmgt]?)(i?)(b?)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_duration(text: str, unit: Literal["s", "ms"] = "s", *, bare: bool = True) -> float | None:
    """Return the duration of `text` in `unit`, None if it is no duration.

    A number alone is in `unit`, and no duration without `bare`.
    """
    text = _normalise(text)
    if _PLAIN.fullmatch(text):
        value = float(text)
        return value if bare and math.isfinite(value) else None
    match = _DURATION.fullmatch(text)
    if not match or not text:
        return None
    pairs = zip(match.groups(), _PARTS[unit], strict=True)
    return sum(float(part) * size for part, size in pairs if part)


def parse_position(text: str) -> int | None:
    """Return the ns of a place in a recording: a clock (`1:23`, `1:02:03`) or a duration."""
    match = _CLOCK.fullmatch(_normalise(text))
    if match:
        hours, minutes, seconds = match.groups()
        total_s: float | None = int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    else:
        total_s = parse_duration(text)
    return None if total_s is None else round(total_s * NS_PER_S)


def parse_size(text: str, bare: str = "") -> int | None:
    """Return the bytes of `text`, None if it is no size. `24G` is 24 GB, `24GiB` 1024 to a step.

    A number without a unit is in `bare`, as `g`, and no size without one.
    """
    match = _SIZE.fullmatch(_normalise(text))
    if not match:
        return None
    number, unit, binary, byte = match.groups()
    if not byte and not binary:
        unit = unit or bare
    if not unit and (binary or not byte):
        return None
    step = 1024.0 if binary else 1000.0
    return round(float(number) * step ** _POWERS[unit])


def is_number(text: str) -> bool:
    """Return True for a number without a unit."""
    return _PLAIN.fullmatch(_normalise(text)) is not None


def _normalise(text: str) -> str:
    return text.strip().lower().replace(" ", "")
