"""A plan as a TOML file: what the options of `run` say, under their names."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from txtop.errors import UsageError, did_you_mean
from txtop.options.parsing import parse_numbers
from txtop.options.run_options import SECONDS, RunOptions
from txtop.plan.knobs import KNOBS

_LISTS = (*(knob.option for knob in KNOBS if knob.is_number and knob.several), "concurrency")
_NAMES = {field.name: field.name for field in fields(RunOptions)} | SECONDS
_KEYS = sorted(set(_NAMES) - set(SECONDS.values()))


def read_plan_file(path: Path) -> RunOptions:
    """What the file asks for. Numbers may be ranges: `batch_sizes = "1-64*2"`; a rate may be a
    number.

    Raises `UsageError` where it cannot be read, is no TOML, or has a key or value that `run` has
    not.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--plan {path}: {error}", "a TOML file, as --save-plan writes it"
        ) from None
    for key in found:
        if key not in _KEYS:
            hint = did_you_mean(key.replace("-", "_"), _KEYS, f"keys: {', '.join(_KEYS)}")
            raise UsageError(f"--plan {path}: no key {key[:40]!a}", hint)
    given: dict[str, Any] = {_NAMES[key]: value for key, value in found.items()}
    for name in _LISTS:
        if name in given:
            given[name] = _parse_numbers(f"--plan {path}: {name}", given[name])
    if "rate" in given:
        given["rate"] = _parse_rates(given["rate"])
    try:
        return msgspec.convert(given, RunOptions)
    except msgspec.ValidationError as error:
        raise UsageError(f"--plan {path}: {error}") from None


def _parse_numbers(where: str, value: object) -> list[int] | None:
    words = value if isinstance(value, list) else [value]
    return parse_numbers(where, [str(word) for word in words])


def _parse_rates(value: object) -> list[object]:
    """As `--rate` has them: words."""
    words = value if isinstance(value, list) else [value]
    return [str(word) if type(word) in (int, float) else word for word in words]


def encode_plan_file(asked: RunOptions) -> bytes:
    """The TOML of what was asked, without what is default."""
    return tomli_w.dumps(asked.given()).encode()


def merge_options(file: RunOptions, given: RunOptions) -> RunOptions:
    """The file's plan with the options that were given beside it.

    Raises `UsageError` where both name models: which are meant cannot be told.
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
