"""The I/O thread: it reads every child's pipes and serves the control socket.

It never waits for a disk, so children and screens are served while the log cannot be written.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from txtop.protocol import codec
from txtop.protocol.codec import BadLine
from txtop.protocol.events import AnyEvent
from txtop.runner import control_protocol
from txtop.runner.child_process import ChildProcess
from txtop.runner.control_server import ControlAnswer, ControlServer

READ_BYTES = 1 << 16


class IoLoop:
    """Run a selector loop in a thread of its own. Callbacks run on that thread and must be short.

    `on_event(child, event)`, `on_malformed(child, reason)`, `on_end(child)` when its output closes,
    `on_request(request) -> answer`, `on_orphaned()` when the lifeline closes,
    `on_broken(error)` when one of these raised and the loop has ended.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[ChildProcess, AnyEvent], None],
        on_malformed: Callable[[ChildProcess, str], None],
        on_end: Callable[[ChildProcess], None],
        on_request: Callable[[control_protocol.ControlRequest], ControlAnswer],
        on_orphaned: Callable[[], None],
        on_broken: Callable[[Exception], None],
    ) -> None:
        self._on_event, self._on_malformed, self._on_end = on_event, on_malformed, on_end
        self._on_request, self._on_orphaned = on_request, on_orphaned
        self._on_broken = on_broken
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._actions: list[Callable[[], None]] = []
        self._guard = threading.Lock()
        self._closing = False
        self._register(self._wake_read, self._run_actions)
        self._thread = threading.Thread(target=self._run, name="io loop", daemon=True)
        self._thread.start()

    def add(self, child: ChildProcess) -> None:
        """Read the output and the errors of `child` from now on."""
        assert child.process.stdout is not None and child.process.stderr is not None
        lines = _EventSplitter(child, self._on_event, self._on_malformed)
        out, err = child.process.stdout.fileno(), child.process.stderr.fileno()

        os.set_blocking(err, False)
        tail = bytearray()

        def on_err() -> bool:
            """Read some of the errors. Return False if there are no more for now."""
            try:
                data = os.read(err, READ_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                if err in self._selector.get_map():
                    self._selector.unregister(err)
                return False
            # A full disk may refuse runner.log, and must not end this thread.
            with suppress(OSError):
                os.write(2, data)
            tail.extend(data)
            *whole, rest = bytes(tail).split(b"\n")
            tail[:] = rest[-4096:]
            for line in whole:
                child.keep_error_line(line)
            return True

        def on_out() -> None:
            data = _read(out)
            if data:
                lines.feed(data)
                return
            self._selector.unregister(out)
            # Its last errors were written before its output ended: they are in the pipe by now.
            while on_err():
                pass
            child.keep_error_line(bytes(tail))
            tail.clear()
            self._on_end(child)

        self._run_soon(lambda: self._register(out, on_out))
        self._run_soon(lambda: self._register(err, on_err))

    def watch_lifeline(self, fd: int) -> None:
        """Call `on_orphaned` when the other end of `fd` is closed."""

        def on_input() -> None:
            if not _read(fd):
                self._selector.unregister(fd)
                self._on_orphaned()

        self._run_soon(lambda: self._register(fd, on_input))

    def serve(self, path: Path) -> None:
        """Listen on a Unix socket that only this user may connect to."""
        server = ControlServer(path, self._selector, self._on_request)
        self._run_soon(server.start)

    def close(self) -> None:
        self._closing = True
        self._wake()
        self._thread.join(2.0)

    def _run_soon(self, action: Callable[[], None]) -> None:
        with self._guard:
            self._actions.append(action)
        self._wake()

    def _wake(self) -> None:
        os.write(self._wake_write, b"x")

    def _register(self, fd: int, action: Callable[[], object]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, lambda _events: action())

    def _run_actions(self) -> None:
        os.read(self._wake_read, READ_BYTES)
        with self._guard:
            actions, self._actions = self._actions, []
        for action in actions:
            action()

    def _run(self) -> None:
        while not self._closing:
            for key, ready in self._selector.select():
                try:
                    key.data(ready)
                except Exception as error:
                    self._on_broken(error)
                    return


class _EventSplitter:
    """Split a child's output into events. A line over the limit is skipped and never buffered."""

    def __init__(
        self,
        child: ChildProcess,
        on_event: Callable[[ChildProcess, AnyEvent], None],
        on_malformed: Callable[[ChildProcess, str], None],
    ) -> None:
        self._child, self._on_event, self._on_malformed = child, on_event, on_malformed
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        self._rest += data
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest[:] = rest
        for line in whole:
            if self._skipping:
                self._skipping = False
                continue
            try:
                event = codec.decode_event(line)
            except BadLine as error:
                self._on_malformed(self._child, str(error))
                continue
            if event is not None:
                self._on_event(self._child, event)
        if len(self._rest) > codec.MAX_LINE_BYTES:
            self._rest.clear()
            if not self._skipping:
                self._on_malformed(self._child, "a line over 1 MiB")
            self._skipping = True


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, READ_BYTES)
    except OSError:
        return b""
