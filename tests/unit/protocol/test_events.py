"""Events as lines."""

from __future__ import annotations

from support import streams
from txtop.protocol import codec


def test_events_keep_what_they_carry() -> None:
    for event in streams.stream():
        assert codec.decode_event(codec.encode_event(event)) == event
