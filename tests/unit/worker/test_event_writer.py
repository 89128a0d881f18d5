"""Events on a pipe that nobody reads."""

from __future__ import annotations

import os
import threading

from txtop.protocol import codec, events
from txtop.worker.event_writer import EventWriter


def test_a_reader_that_does_not_read_never_holds_up_the_writer() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    emitter = EventWriter(write_end, "w")
    for index in range(2000):
        emitter.send(events.Log(t_ns=index, text="x" * 200))
    # Whoever waited for the reader would still be waiting.
    assert emitter.pending
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(os.fdopen(read_end, "rb")))
    reader.start()
    emitter.drain(10.0)
    assert not emitter.pending
    os.close(write_end)
    reader.join()
    seen = [codec.decode_event(line) for line in got]
    assert [event.t_ns for event in seen if event] == list(range(2000))
    assert {event.src for event in seen if event} == {"w"}
