"""Both ends of the sampler: events out without ever blocking, orders in, and the parent's death."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
import time

from txtop.protocol.codec import encode_event
from txtop.protocol.events import Gap, Log, Telemetry

_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
_PR_SET_PDEATHSIG = 1
_MAX_LINE_BYTES = 4096


class ReaderGone(Exception):
    """Nobody can read the events any more: the pipe is closed, the terminal or the disk is gone."""


class EventOutput:
    """Writes whole lines. A slow reader loses samples and is told how many; nobody waits."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._dropped = 0

    def send(self, event: Telemetry | Gap | Log) -> None:
        """Writes `event` as this sampler's. Raises ReaderGone."""
        event.src = self._name
        with self._lock:
            # A pipe that polls as writable has room for 4096 bytes, more than any event here.
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
    """Lines from standard input, and the reason to wake up early: its end, or the reader's."""

    def __init__(self, source: int, reader: int) -> None:
        self._source = source
        self._reader = reader
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._poll.register(reader, 0)
        self._rest = b""

    def read_until(self, deadline: float) -> list[str] | None:
        """Waits until the monotonic `deadline`; returns the lines that came, null at the end."""
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


def end_with_parent() -> None:
    """Asks Linux to kill this process with the thread that started it; elsewhere EOF must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
