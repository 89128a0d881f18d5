"""Encode events as lines of JSON, and decode untrusted lines.

Producers, the runner's client and the readers of logs use it.
"""

from __future__ import annotations

import msgspec

from txtop.protocol.events import AnyEvent
from txtop.sanitise import escape_json

MAX_LINE_BYTES = 1 << 20


class BadLine(ValueError):
    """A line that is not an event of this schema; the text gives the reason."""


class _Peek(msgspec.Struct):
    """The tag of a line that is not an event of this version."""

    kind: str


_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_peek = msgspec.json.Decoder(_Peek)

EVENT_KINDS = frozenset(t.__struct_config__.tag for t in AnyEvent.__args__)


def encode_event(event: AnyEvent) -> bytes:
    """Return the event as one line with its newline. msgspec writes non-finite floats as null."""
    return escape_json(msgspec.json.encode(event)) + b"\n"


def decode_events(lines: bytes) -> list[AnyEvent] | None:
    """Decode lines that are all events of this version; None if one of them is not."""
    try:
        return _decoder.decode_lines(lines)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def decode_event(line: bytes) -> AnyEvent | None:
    """Decode one untrusted line; None for a kind that a newer minor version may have added.

    Raises `BadLine` for anything else that is not an event: junk, wrong types, values out of
    bounds, bad UTF-8, nesting too deep, a line over 1 MiB.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadLine(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        try:
            is_known_kind = _peek.decode(line).kind in EVENT_KINDS
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            is_known_kind = True
        if not is_known_kind:
            return None
        raise BadLine(str(error)[:200] or type(error).__name__) from None
