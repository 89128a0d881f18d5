"""The commands that a fleet gives its places, one after the other or all at once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from txtop.errors import UsageError
from txtop.fleet.places import RemotePlace

# Importing txtop from a cold network disk takes a while.
TIMEOUT_S = 60.0
NOTHING_STARTED = "nothing was started"


@dataclass(frozen=True)
class PlaceReply:
    """The reply of a place to a command: exit code, output, and the last line of its errors."""

    place: RemotePlace
    code: int
    output: bytes
    last_line: str


def build_reply(place: RemotePlace, code: int, output: bytes, errors: bytes) -> PlaceReply:
    """Build the reply of a command that has ended."""
    lines = errors.decode(errors="replace").strip().splitlines()
    last = lines[-1].removeprefix("txtop: ") if lines else f"exit code {code}"
    return PlaceReply(place, code, output, last)


def ask(
    place: RemotePlace,
    txtop: Sequence[str],
    arguments: Sequence[str],
    data: bytes = b"",
    timeout_s: float | None = TIMEOUT_S,
) -> PlaceReply:
    """Run a command on a place, mostly txtop's, with `data` as its standard input.

    Return its answer.
    """
    command = place.build_command(txtop, arguments)
    try:
        ran = subprocess.run(command, input=data, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        return PlaceReply(place, 1, b"", f"no answer within {error.timeout:.0f} s")
    except OSError as error:
        return PlaceReply(place, 1, b"", f"{command[0]}: {error.strerror}")
    return build_reply(place, ran.returncode, ran.stdout, ran.stderr)


def ask_all(
    places: Sequence[RemotePlace], question: Callable[[RemotePlace], PlaceReply]
) -> list[PlaceReply]:
    """Ask every place at once; the answers come in the order of `places`."""
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(question, places))


def require_replies(replies: Sequence[PlaceReply], outcome: str) -> None:
    """Raise `UsageError` if a place refuses: with its words, and those of others on its lines."""
    refusals = [f"{reply.place.label}: {reply.last_line}" for reply in replies if reply.code]
    if refusals:
        raise UsageError("; ".join(refusals), outcome)
