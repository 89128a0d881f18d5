"""The client of a running runner's control socket, for screens and commands."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from txtop.protocol.codec import MAX_LINE_BYTES, decode_event
from txtop.protocol.events import AnyEvent
from txtop.runner.control_protocol import (
    ControlRequest,
    RunnerStatus,
    decode_status,
    decode_tail_header,
)

SOCKET_NAME = "socket"
ANSWER_TIMEOUT_S = 1.0
TAIL_BYTES = 1 << 16

__all__ = ["ControlClient", "RunnerStatus"]


class ControlClient:
    """Connect to the control socket of one session, once per request.

    No method raises: without a runner there is no answer.
    """

    def __init__(self, session: Path) -> None:
        self._session = session

    def status(self) -> RunnerStatus | None:
        """Return the runner's status, None if none answers."""
        answer = self._ask(ControlRequest(do="status"))
        try:
            return decode_status(answer) if answer else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def send(self, action: str, cell: str = "", *, label: str = "", by: str = "the screen") -> bool:
        """Ask for pause, resume, skip, stop or a marker. Return whether the runner accepted it.

        `cell` is the one that is shown at work, for a skip. `by` says in the log what made this
        process ask.
        """
        who = f"{by} (pid {os.getpid()})"
        asked = {"do": action, "who": who, "label": label, "cell": cell}
        try:
            request = msgspec.convert(asked, ControlRequest)
        except msgspec.ValidationError:
            return False
        return self._ask(request) == b'{"ok":true}\n'

    def tail(self, after: int) -> list[AnyEvent]:
        """Return events numbered above `after` that the runner could not log, oldest first."""
        unwritten: list[AnyEvent] = []
        while page := self._page(after):
            unwritten += page
            after = page[-1].seq
        return unwritten

    def _page(self, after: int) -> list[AnyEvent]:
        try:
            with self._connected() as peer, peer.makefile("rwb") as lines:
                lines.write(msgspec.json.encode(ControlRequest(do="tail", after=after)) + b"\n")
                lines.flush()
                count = decode_tail_header(lines.readline(MAX_LINE_BYTES))
                page = [decode_event(lines.readline(MAX_LINE_BYTES)) for _ in range(count)]
        except (OSError, ValueError):
            return []
        return [event for event in page if event is not None and event.seq > after]

    def _ask(self, request: ControlRequest) -> bytes | None:
        try:
            with self._connected() as peer, peer.makefile("rwb") as lines:
                lines.write(msgspec.json.encode(request) + b"\n")
                lines.flush()
                return lines.readline(MAX_LINE_BYTES) or None
        except (OSError, ValueError):
            return None

    def _connected(self) -> socket.socket:
        """Return a connected socket.

        Raises:
            OSError: no runner listens.
            ValueError: the file that names the socket holds no path.
        """
        path = os.fsdecode((self._session / SOCKET_NAME).read_bytes())
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(ANSWER_TIMEOUT_S)
            peer.connect(path)
        except BaseException:
            peer.close()
            raise
        return peer
