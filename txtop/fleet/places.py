"""The places of `--on`: how a txtop command is run on another machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from txtop.errors import UsageError, did_you_mean

FORMS = "ssh:HOST, or exec:COMMAND as 'exec:kubectl exec -i POD --'; NAME=… names a place"
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,39})=([a-z]+:.*)", re.DOTALL)
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9._-]+")
MAX_PLACES = 64


class RemotePlace(NamedTuple):
    """A machine: its name here, the engine that reaches it, and what the engine is given."""

    label: str
    engine: str
    target: str

    def build_command(self, txtop: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """Build the command that runs `txtop` with `arguments` there."""
        return ENGINES[self.engine](self.target, [*txtop, *arguments])


def _build_exec(target: str, command: list[str]) -> list[str]:
    return [*shlex.split(target), *command]


def _build_ssh(target: str, command: list[str]) -> list[str]:
    """Build an ssh command that asks nothing: nobody would answer, and eight might ask at once.

    A host that does not answer for 15 s is given up; the copy of its log then connects anew.
    """
    options = [
        "BatchMode=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
    ]
    given = [part for option in options for part in ("-o", option)]
    # ssh joins what follows the host with spaces and hands it to a shell.
    return ["ssh", "-T", *given, *shlex.split(target), "--", shlex.join(command)]


# An engine is how a command line is run elsewhere, with standard input and output.
ENGINES: dict[str, Callable[[str, list[str]], list[str]]] = {"exec": _build_exec, "ssh": _build_ssh}


def parse_places(texts: Sequence[str]) -> tuple[RemotePlace, ...]:
    """Return the places that the values of `--on` mean.

    Raises `UsageError` for an unknown engine, and for two places of one name.
    """
    if not texts:
        raise UsageError("--on needs at least one value", FORMS)
    if len(texts) > MAX_PLACES:
        raise UsageError(f"--on has {len(texts)} places", f"at most {MAX_PLACES}")
    places = tuple(_parse_place(text, number) for number, text in enumerate(texts, 1))
    labels = [place.label for place in places]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"--on has two places called {label}", f"name one: {label}-2=…")
    return places


def _parse_place(text: str, number: int) -> RemotePlace:
    named = _NAMED.fullmatch(text)
    label, rest = named.groups() if named else ("", text)
    engine, colon, target = rest.partition(":")
    if not colon or engine not in ENGINES:
        hint = did_you_mean(engine, ENGINES, FORMS) if colon else FORMS
        raise UsageError(f"--on cannot be {text[:60]!a}", hint)
    try:
        parts = shlex.split(target)
    except ValueError:
        raise UsageError(f"--on {text[:60]}: a quote is not closed", FORMS) from None
    if not parts or (engine == "ssh" and parts[-1].startswith("-")):
        raise UsageError(f"--on {text[:60]} names no machine", FORMS)
    return RemotePlace(label or _choose_label(engine, parts, number), engine, target)


def _choose_label(engine: str, parts: Sequence[str], number: int) -> str:
    """Return the name of the host, or a number for a command."""
    if engine == "exec":
        return f"place{number}"
    host = parts[-1].rpartition("@")[2]
    label = _NOT_IN_LABELS.sub("-", host).strip("-.")[:40]
    return label if _LABEL.fullmatch(label) else f"place{number}"
