"""The events of the sampler as a process, over a real pipe."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

from support.paths import ROOT
from support.waiting import WAIT_S
from txtop.protocol.codec import decode_event
from txtop.protocol.events import AnyEvent, Telemetry

TREE = str(ROOT)
Start = Callable[..., subprocess.Popen[bytes]]


class Metronome(threading.Thread):
    """A thread that wakes five times a second on this machine, busy as it is."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.times_ns = [time.perf_counter_ns()]
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            self.times_ns.append(time.perf_counter_ns())

    def stop_and_measure(self) -> float:
        """Return the median time between its beats in nanoseconds."""
        self.ended.set()
        self.join()
        return statistics.median(later - earlier for earlier, later in pairwise(self.times_ns))


def read(process: subprocess.Popen[bytes], until: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
    """Return the events up to the one that was waited for, which must come within `WAIT_S`."""
    assert process.stdout is not None
    received: list[AnyEvent] = []
    deadline = time.monotonic() + WAIT_S
    for line in process.stdout:
        event = decode_event(line)
        assert event is not None
        received.append(event)
        if until(event):
            return received
        assert time.monotonic() < deadline, received[-5:]
    raise AssertionError(f"the sampler ended after {len(received)} events")


def samples(count: int, device: str = "host") -> Callable[[AnyEvent], bool]:
    """Return a test for the moment when that many samples of the device have come."""
    left = [count]

    def done(event: AnyEvent) -> bool:
        left[0] -= isinstance(event, Telemetry) and event.device == device
        return left[0] <= 0

    return done


def end(process: subprocess.Popen[bytes]) -> tuple[list[AnyEvent], str]:
    """Close standard input; return the events and stderr that were still to come, within `WAIT_S`.

    Not by communicate(): it reads the pipe beside the buffer that `read` has half emptied.
    """
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    watchdog = threading.Timer(WAIT_S, process.kill)
    watchdog.start()
    with suppress(BrokenPipeError):
        process.stdin.close()
    out, err = process.stdout.read(), process.stderr.read()
    code = process.wait()
    watchdog.cancel()
    assert code == 0
    return [event for line in out.splitlines() if (event := decode_event(line))], err.decode()
