"""Plan files: the options of `run` in TOML, each under its name."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.models.quantised import suggest_precision
from txtop.options.parsing import describe_read_error, parse_ms, parse_numbers, parse_seconds
from txtop.options.run_options import SECONDS, RunOptions
from txtop.options.tasks import parse_margin
from txtop.plan.knobs import KNOBS

_LISTS = (*(knob.option for knob in KNOBS if knob.is_number and knob.several), "concurrency")
_NAMES = {field.name: field.name for field in fields(RunOptions)} | SECONDS
_TYPES = get_type_hints(RunOptions)
_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_DURATIONS = {"budget": parse_seconds, "timeout": parse_seconds, "max_wait_ms": parse_ms}
_KEYS = sorted(set(_NAMES) - set(SECONDS.values()))


def read_plan_file(path: Path) -> RunOptions:
    """Read the options in a plan file.

    Numbers may be ranges, as in `batch_sizes = "1-64*2"`, and durations texts, as in
    `budget = "2m"`; a rate may be a number or a text. Editors may begin it with a byte order mark.

    Raises `UsageError` for a file that cannot be read or is not valid TOML, and for a key or value
    that `run` does not have.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--plan {path}: {describe_read_error(error)}", "a TOML file, as --save-plan writes it"
        ) from None
    for key in table:
        if key not in _KEYS:
            hint = did_you_mean(key.replace("-", "_"), _KEYS, f"keys: {', '.join(_KEYS)}")
            raise UsageError(f"--plan {path}: no key {key[:40]!a}", hint)
    given: dict[str, Any] = {_NAMES[key]: value for key, value in table.items()}
    for name in _LISTS:
        if name in given:
            given[name] = _parse_numbers(f"--plan {path}: {name}", given[name])
    for knob in KNOBS:
        value = given.get(knob.option)
        where = f"--plan {path}: {knob.option}"
        if knob.parse and isinstance(value, str):
            given[knob.option] = knob.parse(where, value)
        elif knob.parse and isinstance(value, list):
            given[knob.option] = [
                knob.parse(where, one) if isinstance(one, str) else one for one in value
            ]
    for key, parse in _DURATIONS.items():
        if isinstance(value := given.get(_NAMES[key]), str):
            given[_NAMES[key]] = parse(f"--plan {path}: {key}", value)
    if isinstance(value := given.get("accuracy_margin"), str):
        given["accuracy_margin"] = parse_margin(f"--plan {path}: accuracy_margin", value)
    if "rate" in given:
        given["rate"] = _parse_rates(given["rate"])
    for key in table:
        _check_value(f"--plan {path}: {key}", given[_NAMES[key]], _TYPES[_NAMES[key]])
    return msgspec.convert(given, RunOptions)


def _check_value(where: str, value: object, hint: Any) -> None:
    """Raise `UsageError` for a value of another type than `hint`, with what it has to be."""
    if _converts(value, hint):
        return
    (kind,) = (member for member in get_args(hint) if member is not NoneType)
    if get_origin(kind) in (list, Sequence):
        if not isinstance(value, list):
            raise UsageError(f"{where} takes a list", "put it between [ and ]")
        (kind,) = get_args(kind)
        value = next(item for item in value if not _converts(item, kind))
    given = f"{value:.40}" if isinstance(value, str) else str(value)[:40]
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        hint_text = suggest_precision(given) if "fp32" in choices else ""
        hint_text = hint_text or did_you_mean(given, choices, f"one of {', '.join(choices)}")
        raise UsageError(f"{where} cannot be {given!a}", hint_text)
    takes = 'a duration, as 30 or "2m"' if where.rpartition(" ")[2] in _DURATIONS else _KINDS[kind]
    raise UsageError(f"{where} cannot be {given!a}", f"it takes {takes}")


def _converts(value: object, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def _parse_numbers(where: str, value: object) -> list[int] | None:
    values = value if isinstance(value, list) else [value]
    return parse_numbers(where, [str(item) for item in values])


def _parse_rates(value: object) -> list[object]:
    """Return rates as texts, as `--rate` takes them; anything but a number is left as it is."""
    rates = value if isinstance(value, list) else [value]
    return [str(rate) if type(rate) in (int, float) else rate for rate in rates]


def encode_plan_file(options: RunOptions) -> bytes:
    """Return the TOML of the options that were given."""
    import tomlkit

    values = options.given()
    for knob in KNOBS:
        # A value that has parts is a text in a file, as on a command line.
        if knob.parse and isinstance(value := values.get(knob.option), list):
            values[knob.option] = list(map(str, value))
    return tomlkit.dumps(values).encode()


def merge_options(file: RunOptions, given: RunOptions) -> RunOptions:
    """Return the options of a plan file, overridden by those given beside it.

    Of a number of iterations and a budget, the one given beside the file replaces the other in it.
    Raises `UsageError` if both name models: either may be meant.
    """
    if file.models and given.models:
        raise UsageError(
            "--models and --plan contradict each other", "the file names its models: give one"
        )
    if given.iterations is not None and given.budget_s is None:
        file = replace(file, budget_s=None)
    if given.budget_s is not None and given.iterations is None:
        file = replace(file, iterations=None)
    changed = {name: value for name, value in vars(given).items() if value is not None}
    return replace(file, **changed)
