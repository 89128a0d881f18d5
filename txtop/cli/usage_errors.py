"""The errors of the argument parser in txtop's own words: the cause, then the next step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from txtop.errors import did_you_mean
from txtop.models.quantised import suggest_precision

_KINDS = {int: "a whole number", float: "a number"}
MAX_SHOWN = 40
# Options of one command that others are asked for, and why these have none.
_ELSEWHERE = {
    ("ab", "--devices"): "arms take turns in one place: --device",
    ("tune", "--devices"): "candidates take turns in one place: --space device=cuda:1",
    ("fit", "--devices"): "each probe depends on the one before: --device",
    ("explain", "--devices"): "one cell is explained in one place: --device",
}


def format_usage_error(
    error: CycloptsError, arguments: Sequence[str], commands: Sequence[str]
) -> str:
    """Return one line for an error of the parser; `commands` are the names of all commands."""
    chain = " ".join(error.command_chain or ())
    page = f"txtop {chain} --help" if chain else "txtop --help"
    step = f"{page} lists what it takes"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        first = arguments[0] if arguments else ""
        if first not in commands:
            hint = did_you_mean(first, commands, f"commands: {', '.join(commands)}")
            return f'unknown command "{first}": {hint}'
        return f"{error.unused_tokens[0][:MAX_SHOWN]!a} is one value too many: {step}"
    if isinstance(error, UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        if why := _ELSEWHERE.get((chain, option)):
            return f"no option {option}: {why}"
        names = [name for argument in error.argument_collection for name in argument.names]
        return f"no option {option[:MAX_SHOWN]}: {did_you_mean(option, names, step)}"
    if isinstance(error, CoercionError) and error.token is not None:
        if chain == "export" and (formats := _list_fleet_formats(arguments)):
            error.target_type = Literal[formats]  # type: ignore[assignment]
        return _format_wrong_value(error, step)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword is None and not error.argument.tokens:
            name = error.argument.name.lstrip("-").upper()
            return f"{chain or 'txtop'} needs {name}: {step}"
        return f"{_name(error, error.keyword)} needs a value: {step}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given twice: give it once"
    return f"{' '.join(str(error).split()).removesuffix('.')}: {step}"


def _list_fleet_formats(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the formats that a fleet has, if one of `arguments` names a fleet."""
    from txtop.export.fleet import WRITERS
    from txtop.fleet.folder import find_fleet

    folder = dict(pairwise(arguments)).get("--session-dir")
    is_fleet = any(find_fleet(name, Path(folder) if folder else None) for name in arguments[1:])
    return tuple(WRITERS) if is_fleet else ()


def _name(error: CycloptsError, keyword: str | None) -> str:
    """Return an option as it was typed, or the name of an argument."""
    if keyword is not None or error.argument is None:
        return keyword or "an argument"
    typed = [token.keyword for token in error.argument.tokens if token.keyword is not None]
    return typed[-1] if typed else error.argument.name.lstrip("-").upper()


def _format_wrong_value(error: CoercionError, step: str) -> str:
    token, kind = error.token, error.target_type
    assert token is not None
    given = f"{_name(error, token.keyword)} {token.value[:MAX_SHOWN]!a}"
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        hint = suggest_precision(token.value) if "fp32" in choices else ""
        hint = hint or did_you_mean(token.value, choices, f"one of {', '.join(choices)}")
        return f"{given} is not one of its values: {hint}"
    if kind in _KINDS:
        return f"{given} is not {_KINDS[kind]}: {step}"
    return f"{given} cannot be used: {step}"
