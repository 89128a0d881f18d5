"""The control socket's messages: requests to a running runner, and its answers.

The log carries facts; the socket carries the state of the recording itself, so that a full disk can
still be reported. One JSON object a line, each answered by one line.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_REQUEST_BYTES = 4096


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `tail` asks for the events numbered above `after` that are not on disk.

    `cell` is what a screen shows as at work when it asks for a skip, empty if it shows none.
    """

    do: Literal["status", "tail", "pause", "resume", "skip", "stop", "marker"]
    who: Annotated[str, Meta(max_length=200)] = ""
    label: Annotated[str, Meta(max_length=200)] = ""
    cell: Annotated[str, Meta(max_length=200)] = ""
    after: Annotated[int, Meta(ge=0)] = 0


class RunnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a runner and its recording.

    `heartbeat_ns` is the runner's monotonic clock when its main loop last ran.
    """

    pid: int
    state: Literal["running", "stopping", "ended"]
    last_seq: int
    buffered_bytes: int
    dropped: int
    write_error: str | None
    durability_lost: bool
    paused: bool
    heartbeat_ns: int


class TailHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The line before the events of a tail: their count."""

    lines: Annotated[int, Meta(ge=0)]


_requests = msgspec.json.Decoder(ControlRequest)
_statuses = msgspec.json.Decoder(RunnerStatus)
_lines = msgspec.json.Decoder(TailHeader)


def decode_request(line: bytes) -> ControlRequest:
    """Decode a request.

    Raises:
        msgspec.DecodeError, RecursionError, UnicodeDecodeError: the line is not a request.
    """
    return _requests.decode(line)


def decode_status(line: bytes) -> RunnerStatus:
    return _statuses.decode(line)


def decode_tail_header(line: bytes) -> int:
    return _lines.decode(line).lines


def create_socket_folder() -> Path:
    """Create a folder that only this user can enter, with a short path: a socket's has 108 bytes.

    Raises:
        OSError: a folder of that name belongs to another user.
    """
    folder = Path(tempfile.gettempdir()) / f"txtop-{os.getuid()}"
    if len(os.fsencode(folder)) > 60:
        folder = Path("/tmp") / f"txtop-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def choose_socket_path() -> Path:
    """Choose a free path to listen on, and remove the sockets that killed runners left behind.

    The name holds no process id: a later runner with the same id must not answer for this session.
    """
    folder = create_socket_folder()
    for stale in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(0.1)
            try:
                peer.connect(str(stale))
            except ConnectionRefusedError:
                stale.unlink(missing_ok=True)
            except OSError:
                continue
    return folder / f"{secrets.token_hex(8)}.sock"
