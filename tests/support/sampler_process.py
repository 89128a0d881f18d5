"""The events of the sampler as a process, over a real pipe."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from support.paths import ROOT
from txtop.protocol.codec import decode_event
from txtop.protocol.events import AnyEvent, Telemetry

TREE = str(ROOT)
Start = Callable[..., subprocess.Popen[bytes]]


def read(process: subprocess.Popen[bytes], until: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
    """Return the events up to the one that was waited for, which must come within 45 s."""
    assert process.stdout is not None
    received: list[AnyEvent] = []
    deadline = time.monotonic() + 45
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
    """Close standard input; return the events and stderr that were still to come, within 30 s.

    Not by communicate(): it reads the pipe beside the buffer that `read` has half emptied.
    """
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    with suppress(BrokenPipeError):
        process.stdin.close()
    out, err = process.stdout.read(), process.stderr.read()
    code = process.wait()
    watchdog.cancel()
    assert code == 0
    return [event for line in out.splitlines() if (event := decode_event(line))], err.decode()
