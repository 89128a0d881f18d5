"""Check a session's log line by line: it must be what a writer of txtop leaves behind, unchanged.

This is integrity, not authenticity: whoever can write the file can write a matching digest.
docs/sessions.md, "Verify and resume", lists what is checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from txtop.protocol import codec, events
from txtop.protocol.codec import BadLine
from txtop.protocol.events import AnyEvent
from txtop.session.reader import MAX_REJECTED, build_junk_error, iterate_raw_lines
from txtop.units import NS_PER_MS

MAX_KEPT = 1000


@dataclass
class LogVerification:
    """The result of a check: numbers of `wrong` lines with the reasons, and counts.

    `digests` counts those that match, `unknown` the events of a kind that a newer version added.
    `wrong` holds the first thousand, `wrong_count` counts all.
    """

    lines: int = 0
    segments: int = 0
    digests: int = 0
    unknown: int = 0
    torn_bytes: int = 0
    ended: bool = False
    wrong: list[tuple[int, str]] = field(default_factory=list)
    wrong_count: int = 0

    def reject(self, line: int, reason: str) -> None:
        self.wrong_count += 1
        if len(self.wrong) < MAX_KEPT:
            self.wrong.append((line, reason))


def verify_log(path: Path) -> LogVerification:
    """Read the whole log once, a line at a time. Raises `SessionError` if it cannot be read."""
    return _LogCheck().of(path)


class _LogCheck:
    """The state of a check that is under way."""

    def __init__(self) -> None:
        self.found = LogVerification()
        self._cells: frozenset[str] | None = None
        self._seq = 0
        self._clocks: dict[str, int] = {}
        self._digest = hashlib.sha256()
        self._closed = False

    def of(self, path: Path) -> LogVerification:
        """Check the log at `path`. Raises `SessionError`."""
        result = self.found
        for number, line in iterate_raw_lines(path):
            if line is not None and not line.endswith(b"\n"):
                result.torn_bytes = len(line)
                break
            result.lines = number
            if result.wrong_count > MAX_REJECTED:
                raise build_junk_error(path)
            if line is None:
                result.reject(number, f"longer than {codec.MAX_LINE_BYTES} bytes")
                continue
            self._line(number, line)
        if not result.lines:
            result.reject(1, "no whole line: the session is empty")
        result.ended = self._closed
        return result

    def _line(self, number: int, line: bytes) -> None:
        try:
            event = codec.decode_event(line[:-1])
            raw = json.loads(line, object_pairs_hook=_reject_duplicate_keys)
        except (BadLine, ValueError, RecursionError) as error:
            self.found.reject(number, f"not an event: {error or type(error).__name__}")
            self._digest.update(line)
            return
        self._sequence(number, raw)
        if event is None:
            self.found.unknown += 1
        else:
            self._event(number, event)
        self._digest.update(line)

    def _sequence(self, number: int, raw: Any) -> None:
        seq = raw.get("seq", 0)
        if seq != self._seq + 1:
            self.found.reject(number, f"sequence number {seq} after {self._seq}")
        self._seq = seq if isinstance(seq, int) else self._seq

    def _event(self, number: int, event: AnyEvent) -> None:
        reject = self.found.reject
        if (number == 1) != isinstance(event, events.SessionHeader):
            reject(number, "the first line is not a header" if number == 1 else "a second header")
        if isinstance(event, events.SessionHeader):
            self._cells = frozenset(cell.id for cell in event.plan.cells)
            if event.schema[0] != events.LOG_SCHEMA[0]:
                reject(number, f"schema {event.schema[0]}.{event.schema[1]}")
        elif isinstance(event, events.Probe) and self._cells is not None:
            self._cells |= {event.added.id}
        elif number == 2 and not isinstance(event, events.Segment):
            reject(number, "the second line is not a segment")
        if isinstance(event, events.Segment):
            self._segment()
        elif self._closed:
            reject(number, "an event after the end")
        self._clock(number, event)
        name = getattr(event, "cell", None)
        if name is not None and self._cells is not None and name not in self._cells:
            reject(number, f"cell {name!r} is not in the plan")
        if isinstance(event, events.SessionEnded):
            self._end(number, event)

    def _segment(self) -> None:
        """Start the clocks again and, from the second segment on, the digest.

        The first digest starts with the header.
        """
        self.found.segments += 1
        self._closed = False
        if self.found.segments > 1:
            self._clocks.clear()
            self._digest = hashlib.sha256()

    def _clock(self, number: int, event: AnyEvent) -> None:
        before = self._clocks.get(event.src, 0)
        if event.t_ns < before:
            back = f"{(before - event.t_ns) / NS_PER_MS:.3f} ms"
            self.found.reject(number, f"the clock of {event.src} goes back by {back}")
        self._clocks[event.src] = max(before, event.t_ns)

    def _end(self, number: int, event: events.SessionEnded) -> None:
        self._closed = True
        if event.sha256 == self._digest.hexdigest():
            self.found.digests += 1
        else:
            self.found.reject(number, "the digest is not that of the lines before it")


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object from its pairs. Raises `ValueError` if a key occurs twice."""
    unique = dict(pairs)
    if len(unique) != len(pairs):
        keys = [key for key, _ in pairs]
        duplicate = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {duplicate[:80]!r} twice in one object")
    return unique
