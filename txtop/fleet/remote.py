"""The commands that a fleet gives its places, one after the other or all at once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from txtop.fleet.places import RemotePlace

# Importing txtop from a cold network disk takes a while.
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class PlaceReply:
    """The reply of a place to a command: exit code, output, and the last line of its errors."""

    place: RemotePlace
    code: int
    output: bytes
    last_line: str


def ask(
    place: RemotePlace, txtop: Sequence[str], arguments: Sequence[str], data: bytes = b""
) -> PlaceReply:
    """Run a txtop command on a place, with `data` as its standard input, and return its answer."""
    command = place.build_command(txtop, arguments)
    try:
        ran = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return PlaceReply(place, 1, b"", f"no answer within {TIMEOUT_S:.0f} s")
    except OSError as error:
        return PlaceReply(place, 1, b"", f"{command[0]}: {error.strerror}")
    lines = ran.stderr.decode(errors="replace").strip().splitlines()
    last = lines[-1].removeprefix("txtop: ") if lines else f"exit code {ran.returncode}"
    return PlaceReply(place, ran.returncode, ran.stdout, last)


def ask_all(
    places: Sequence[RemotePlace], question: Callable[[RemotePlace], PlaceReply]
) -> list[PlaceReply]:
    """Ask every place at once; the answers come in the order of `places`."""
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(question, places))
