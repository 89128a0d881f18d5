"""A line of JSON as people write it by hand: what parsers forgive in silence is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_NOUNS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
# What the library says of a field, and the same for a person; named groups are put in.
_FAULTS = (
    (r"Object missing required field (?P<name>\w+)", "{name} is missing"),
    (r"Expected (?P<wanted>[\w |]+), got (?P<got>\w+)", "{got} in place of {wanted}"),
    (r"Expected (str|array) of length >= 1", "empty"),
    (r"Expected array of length >= (?P<least>\d+)", "fewer than {least} entries"),
    (r"Expected array of length <= (?P<most>\d+)", "more than {most} entries"),
    (r"Expected str of length <= (?P<most>\d+)", "more than {most} characters"),
    (r"Expected (int|float) >= (?P<least>\S+)", "less than {least}"),
    (r"Expected (int|float) <= (?P<most>\S+)", "more than {most}"),
)


class LineError(ValueError):
    """The line is not JSON; the text says why."""


class RepeatedFieldError(LineError):
    """An object has a field twice, of which parsers keep the last. The text is its name."""


def describe_fault(error: msgspec.ValidationError) -> str:
    """Return the fault of a field for a person: `question: a whole number in place of text`."""
    cause, _, place = str(error).replace("`", "").partition(" - at ")
    for pattern, text in _FAULTS:
        if match := re.fullmatch(pattern, cause):
            cause = text.format(**{k: _name_value(v) for k, v in match.groupdict().items()})
            break
    field = place.removeprefix("$").removeprefix(".")
    return f"{field}: {cause}" if field else cause


def _name_value(text: str) -> str:
    """Return types, a number or a name as a person reads them."""
    if re.fullmatch(r"-?[0-9.]+(e[0-9]+)?", text):
        return f"{float(text):,.12g}"
    return " or ".join(_NOUNS.get(name, name) for name in text.split(" | "))


def parse_line(text: str) -> Any:
    """Return the value of a line of JSON.

    Raises `LineError` for anything else, for `NaN`, and for half a surrogate pair, which is no
    text; `RepeatedFieldError` for an object with a field twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_build_object, parse_constant=_refuse_constant)
    except LineError:
        raise
    except json.JSONDecodeError as error:
        cause = error.msg[:1].lower() + error.msg[1:]
        raise LineError(f"{cause} at character {error.pos + 1}") from None
    except RecursionError:
        raise LineError("it is nested too deep") from None
    except ValueError:
        raise LineError("a number has too many digits") from None
    if "\\u" in text:
        _require_text(value)
    return value


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedFieldError(next(n for i, n in enumerate(names) if n in names[:i]))
    return fields


def _refuse_constant(name: str) -> Any:
    raise LineError(f"{name} is not a number of JSON")


def _require_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LineError("half a surrogate pair (\\ud800 to \\udfff)") from None
