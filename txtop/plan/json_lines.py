"""A line of JSON as people write it by hand: what parsers forgive in silence is refused."""

from __future__ import annotations

import json
from typing import Any


class LineError(ValueError):
    """The line is not JSON; the text says why."""


class RepeatedFieldError(LineError):
    """An object has a field twice, of which parsers keep the last. The text is its name."""


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
