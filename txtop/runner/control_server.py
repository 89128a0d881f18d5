"""The server of the control socket: it answers each request of a screen or command with a line."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from txtop.runner import control_protocol

READ_BYTES = 1 << 16
MAX_UNREAD_BYTES = 1 << 22

ControlAnswer = msgspec.Struct | dict[str, bool] | list[bytes]


class ControlServer:
    """Serve in the loop of `selector`, whose keys hold the function to call with the ready events.

    `answer(request)` returns an object, or lines that are sent as they are after an object with
    their count. A peer that does not read its answers is dropped.
    """

    def __init__(
        self,
        path: Path,
        selector: selectors.BaseSelector,
        answer: Callable[[control_protocol.ControlRequest], ControlAnswer],
    ) -> None:
        self._selector, self._answer = selector, answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        # Only this user may connect, from the moment the socket exists.
        umask = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(umask)
        self._listener.listen(16)
        self._listener.setblocking(False)

    def start(self) -> None:
        """Start to accept connections. Called on the thread of the loop."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self, _: int) -> None:
        try:
            peer, _address = self._listener.accept()
        except OSError:
            return
        _Peer(peer, self._selector, self._answer)


class _Peer:
    """One connection, with its incomplete request and the answers it has not read yet."""

    def __init__(
        self,
        peer: socket.socket,
        selector: selectors.BaseSelector,
        answer: Callable[[control_protocol.ControlRequest], ControlAnswer],
    ) -> None:
        self._peer, self._selector, self._answer = peer, selector, answer
        self._received, self._unread = bytearray(), bytearray()
        peer.setblocking(False)
        selector.register(peer, selectors.EVENT_READ, self._handle)

    def _handle(self, events: int) -> None:
        try:
            alive = not events & selectors.EVENT_READ or self._receive()
            while alive and self._unread:
                del self._unread[: self._peer.send(self._unread)]
        except BlockingIOError:
            pass
        except OSError:
            alive = False
        if not alive or len(self._unread) > MAX_UNREAD_BYTES:
            self._selector.unregister(self._peer)
            self._peer.close()
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unread else 0)
        self._selector.modify(self._peer, mask, self._handle)

    def _receive(self) -> bool:
        """Read what was sent and answer whole lines. Return False if the peer must be dropped."""
        data = self._peer.recv(READ_BYTES)
        self._received += data
        while (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            self._unread += _encode_answer(self._answer_line(line))
        return bool(data) and len(self._received) <= control_protocol.MAX_REQUEST_BYTES

    def _answer_line(self, line: bytes) -> ControlAnswer:
        try:
            request = control_protocol.decode_request(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return {"ok": False}
        return self._answer(request)


def _encode_answer(answer: ControlAnswer) -> bytes:
    if isinstance(answer, list):
        return msgspec.json.encode({"lines": len(answer)}) + b"\n" + b"".join(answer)
    return msgspec.json.encode(answer) + b"\n"
