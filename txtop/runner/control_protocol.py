"""The control socket: what may be asked of a running runner, and what it answers.

The log carries facts; this socket carries the state of the recording itself, so a full disk can
still be told. One JSON object a line, each answered by one.
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
    """`tail` asks for the lines numbered above `after` that the disk refuses."""

    do: Literal["status", "tail", "pause", "resume", "skip", "stop", "marker"]
    who: Annotated[str, Meta(max_length=200)] = ""
    label: Annotated[str, Meta(max_length=200)] = ""
    after: Annotated[int, Meta(ge=0)] = 0


class RunnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`heartbeat_ns` is the runner's monotonic clock when its conductor last came round."""

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
    """What precedes the lines of a tail: how many there are."""

    lines: Annotated[int, Meta(ge=0)]


_requests = msgspec.json.Decoder(ControlRequest)
_statuses = msgspec.json.Decoder(RunnerStatus)
_lines = msgspec.json.Decoder(TailHeader)


def decode_request(line: bytes) -> ControlRequest:
    """Raises `msgspec.DecodeError`, `RecursionError` or `UnicodeDecodeError`."""
    return _requests.decode(line)


def decode_status(line: bytes) -> RunnerStatus:
    return _statuses.decode(line)


def decode_tail_header(line: bytes) -> int:
    return _lines.decode(line).lines


def create_socket_folder() -> Path:
    """A short folder of this user alone: a socket's path may have 108 bytes.

    Raises `OSError` when a folder of that name belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"txtop-{os.getuid()}"
    if len(os.fsencode(folder)) > 60:
        folder = Path("/tmp") / f"txtop-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def choose_socket_path() -> Path:
    """Where a runner may listen. Not named by its process: a later runner that gets the same
    number must not answer for this session. Sockets that killed runners left behind go.
    """
    folder = create_socket_folder()
    for left in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(0.1)
            try:
                peer.connect(str(left))
            except ConnectionRefusedError:
                left.unlink(missing_ok=True)
            except OSError:
                continue
    return folder / f"{secrets.token_hex(8)}.sock"
