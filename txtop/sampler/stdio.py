"""The input and output of the sampler, neither of which ever delays a sample."""

from __future__ import annotations

import os
import select
import threading
import time

from txtop.protocol.codec import encode_event
from txtop.protocol.events import Gap, Log, Telemetry

_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
_MAX_LINE_BYTES = 4096
"""An unfinished line that is longer is dropped."""


class ReaderGone(Exception):
    """The events cannot be read any more: the pipe is closed, the terminal or the disk is gone."""


class EventOutput:
    """Writes events as whole lines without blocking.

    A slow reader loses samples, and a gap then reports how many.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._dropped = 0

    def send(self, event: Telemetry | Gap | Log) -> None:
        """Write `event` with the name of this sampler as its source.

        Raises `ReaderGone`.
        """
        event.src = self._name
        with self._lock:
            # A pipe that polls as writable has room for 4096 bytes, more than any event sent here.
            if not self._writable():
                self._dropped += 1
                return
            if self._dropped:
                reason = f"the reader was slow, {self._dropped} samples are missing"
                gap = Gap(src=self._name, t_ns=event.t_ns, producer=self._name, reason=reason)
                self._write(gap)
                self._dropped = 0
                if not self._writable():
                    self._dropped = 1
                    return
            self._write(event)

    def _write(self, event: Telemetry | Gap | Log) -> None:
        try:
            os.write(self._descriptor, encode_event(event))
        except OSError as error:
            raise ReaderGone from error

    def _writable(self) -> bool:
        flags = sum(flag for _, flag in self._poll.poll(0))
        if flags & _GONE:
            raise ReaderGone
        return bool(flags & select.POLLOUT)


class CommandInput:
    """Reads command lines from standard input, and detects its end and the end of the reader."""

    def __init__(self, source: int, reader: int) -> None:
        self._source = source
        self._reader = reader
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._poll.register(reader, 0)
        self._rest = b""

    def read_until(self, deadline: float) -> list[str] | None:
        """Wait until the monotonic `deadline` and return the lines that came, `None` at the end."""
        lines: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left * 1000):
                if descriptor == self._reader:
                    return None
                try:
                    data = os.read(self._source, _MAX_LINE_BYTES)
                except OSError:
                    return None
                if not data:
                    return None
                *whole, rest = (self._rest + data).split(b"\n")
                self._rest = rest if len(rest) <= _MAX_LINE_BYTES else b""
                lines += [line.decode(errors="replace") for line in whole]
        return lines
