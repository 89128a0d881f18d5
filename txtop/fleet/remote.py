"""The commands that a fleet gives its places, one after the other or all at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from txtop.errors import UsageError
from txtop.fleet.places import RemotePlace

# Importing txtop from a cold network disk takes a while.
TIMEOUT_S = 60.0
NOTHING_STARTED = "nothing was started"


@dataclass(frozen=True)
class PlaceReply:
    """The reply of a place to a command: exit code, output, and the last line of its errors.

    Without one it names the command that ended.
    """

    place: RemotePlace
    code: int
    output: bytes
    last_line: str


def build_reply(place: RemotePlace, code: int, output: bytes, errors: bytes) -> PlaceReply:
    """Build the reply of a command that has ended."""
    lines = errors.decode(errors="replace").strip().splitlines()
    last = (
        lines[-1].removeprefix("txtop: ") if lines else f"{place.spelt} ended with exit code {code}"
    )
    return PlaceReply(place, code, output, last)


def ask(
    place: RemotePlace,
    txtop: Sequence[str],
    arguments: Sequence[str],
    data: bytes = b"",
) -> PlaceReply:
    """Run a command on a place, mostly txtop's, with `data` as its standard input.

    Return its answer.
    """
    command = place.build_command(txtop, arguments)
    try:
        ran = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        return PlaceReply(place, 1, b"", f"no answer within {error.timeout:.0f} s")
    except OSError as error:
        return PlaceReply(place, 1, b"", f"{command[0]}: {error.strerror}")
    return build_reply(place, ran.returncode, ran.stdout, ran.stderr)


def start_process(
    place: RemotePlace, command: Sequence[str], arguments: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start a command on a place, with its children in a group of their own.

    Raises `UsageError` if that fails.
    """
    built = place.build_command(command, arguments)
    try:
        return subprocess.Popen(
            built,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"{place.label}: {built[0]}: {error.strerror}", NOTHING_STARTED) from None


def run_all(
    places: Sequence[RemotePlace],
    start: Callable[[RemotePlace], subprocess.Popen[bytes]],
    finish: Callable[[RemotePlace, subprocess.Popen[bytes]], PlaceReply],
) -> list[PlaceReply]:
    """Start a command for every place, and finish all at once; the replies are in that order.

    For what may take long and be cut short: an exception, as of a signal, ends them all.
    """
    running: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(len(places)) as pool:
        try:
            for place in places:
                running.append(start(place))
            return list(pool.map(finish, places, running))
        except BaseException:
            # Their own children, too: whoever reads on would have all sent first.
            for process in running:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGTERM)
            raise


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
