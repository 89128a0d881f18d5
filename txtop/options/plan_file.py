"""Plan files: the options of `run` in TOML, each under its name."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.options.parsing import parse_numbers
from txtop.options.run_options import SECONDS, RunOptions
from txtop.plan.knobs import KNOBS

_LISTS = (*(knob.option for knob in KNOBS if knob.is_number and knob.several), "concurrency")
_NAMES = {field.name: field.name for field in fields(RunOptions)} | SECONDS
_KEYS = sorted(set(_NAMES) - set(SECONDS.values()))


def read_plan_file(path: Path) -> RunOptions:
    """Read the options in a plan file.

    Numbers may be ranges, as in `batch_sizes = "1-64*2"`; a rate may be a number or a text.

    Raises `UsageError` for a file that cannot be read or is not valid TOML, and for a key or value
    that `run` does not have.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--plan {path}: {error}", "a TOML file, as --save-plan writes it"
        ) from None
    for key in table:
        if key not in _KEYS:
            hint = did_you_mean(key.replace("-", "_"), _KEYS, f"keys: {', '.join(_KEYS)}")
            raise UsageError(f"--plan {path}: no key {key[:40]!a}", hint)
    given: dict[str, Any] = {_NAMES[key]: value for key, value in table.items()}
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
    values = value if isinstance(value, list) else [value]
    return parse_numbers(where, [str(item) for item in values])


def _parse_rates(value: object) -> list[object]:
    """Return rates as texts, as `--rate` takes them; anything but a number is left as it is."""
    rates = value if isinstance(value, list) else [value]
    return [str(rate) if type(rate) in (int, float) else rate for rate in rates]


def encode_plan_file(options: RunOptions) -> bytes:
    """Return the TOML of the options that were given."""
    import tomlkit

    return tomlkit.dumps(options.given()).encode()


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
