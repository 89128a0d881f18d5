"""Read an untrusted session log line by line, in bounded memory, and number the bad lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from txtop.errors import SessionError
from txtop.protocol import codec, events
from txtop.protocol.codec import BadLine
from txtop.protocol.events import AnyEvent
from txtop.protocol.events.base import Event
from txtop.session.writer import LOG_NAME

CHUNK_BYTES = 1 << 18
MAX_UNPACKED_BYTES = 1 << 30
MAX_REJECTED = 100_000
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open}
# How the codec begins every line.
_EVENT_START = b'{"kind":"'


def _list_beginnings(kinds: Sequence[type[Event]]) -> tuple[bytes, ...]:
    """Return how the lines of events of these kinds begin."""
    tags = [str(kind.__struct_config__.tag) for kind in kinds]
    return tuple(_EVENT_START + f'{tag}"'.encode() for tag in tags)


def find_log_path(path: Path) -> Path:
    """Return the file of events of a session, which is a folder, a .jsonl or a .jsonl.gz."""
    return path / LOG_NAME if path.is_dir() else path


@dataclass
class ReadProblems:
    """The lines that were not read: numbers and reasons, and the bytes of a torn record at the end.

    `rejected` holds the first hundred, `rejected_count` counts all.
    """

    rejected: list[tuple[int, str]] = field(default_factory=list)
    rejected_count: int = 0
    torn_bytes: int = 0

    def reject(self, line: int, why: str) -> None:
        self.rejected_count += 1
        if len(self.rejected) < 100:
            self.rejected.append((line, why))

    def lines(self) -> list[str]:
        """Return one line of text per problem, for a person."""
        lines = [f"line {number} rejected: {why}" for number, why in self.rejected[:5]]
        if self.rejected_count > 5:
            lines.append(f"{self.rejected_count - 5} more lines rejected")
        if self.torn_bytes:
            lines.append(f"1 torn record dropped ({self.torn_bytes} bytes)")
        return lines


@dataclass(frozen=True)
class LogPosition:
    """A place between two lines of a log: the bytes and lines before it, and the log's header."""

    offset: int
    lines: int
    header: events.SessionHeader | None


class LogReader:
    """A reader of the lines that were appended since the last call.

    The first line must be a header of this schema. Raises `SessionError` if the file cannot be
    opened, has no header, or is of a newer major version. Beside the header, events `only` of some
    kinds are decoded if they are given: a list of sessions needs few of many.
    """

    def __init__(self, path: Path, only: Sequence[type[Event]] = ()) -> None:
        self.path = find_log_path(path)
        self._only: tuple[type[Event], ...] = (events.SessionHeader, *only) if only else (Event,)
        self._wanted = _list_beginnings(self._only) if only else None
        try:
            # To open a FIFO would wait for its writer.
            if self.path.exists() and not self.path.is_file():
                raise SessionError(
                    f"{self.path} is not a file", "txtop sessions lists what is here"
                )
            opened = _OPENERS.get(self.path.suffix, open)(self.path, "rb")
        except PermissionError as error:
            hint = "it belongs to another user: ask for leave to read it"
            raise SessionError(f"cannot read {self.path} ({error.strerror})", hint) from None
        except OSError as error:
            raise SessionError(f"cannot read {self.path} ({error.strerror})") from None
        self._file = cast(BinaryIO, opened)
        self.at_end = False
        self._partial = bytearray()
        self._skipping = False
        self._line = 0
        self._bytes = 0
        self._header: events.SessionHeader | None = None
        self.problems = ReadProblems()

    def poll(self, limit_bytes: int = 1 << 22) -> list[AnyEvent]:
        """Return the complete events appended since the last call, about `limit_bytes` at most."""
        batch: list[AnyEvent] = []
        taken = 0
        while taken < limit_bytes:
            chunk = self.chunk()
            if not chunk:
                break
            taken += len(chunk)
            batch.extend(self._events(chunk))
        return batch

    @property
    def place(self) -> LogPosition | None:
        """The position at which the next line begins; None within a line that is too long."""
        if self._skipping:
            return None
        return LogPosition(self._bytes - len(self._partial), self._line, self._header)

    def go_to(self, place: LogPosition) -> None:
        """Continue reading at `place`. Problems of lines read again are not recorded twice."""
        self._file.seek(place.offset)
        self._partial.clear()
        self._skipping = self.at_end = False
        self._bytes, self._line, self._header = place.offset, place.lines, place.header
        self.problems = ReadProblems()

    def unpack(self) -> None:
        """Unpack a compressed session to a temporary file, so that seeking is cheap.

        Raises `SessionError`.
        """
        if self.path.suffix not in _OPENERS:
            return
        plain = cast(BinaryIO, TemporaryFile())  # noqa: SIM115
        while chunk := self.chunk():
            plain.write(chunk)
        self._file.close()
        self._file = plain
        self.go_to(LogPosition(0, 0, None))

    def finish(self) -> list[AnyEvent]:
        """Return the last event if its line lacks only the newline; else record the torn bytes.

        Call it when nothing more will be appended.
        """
        rest = bytes(self._partial)
        self._partial.clear()
        if not rest.strip(b"\0") and not self._skipping:
            self.problems.torn_bytes += len(rest)
            return []
        try:
            event = None if self._skipping else codec.decode_event(rest)
        except BadLine:
            event = None
        if event is None or not self._fits(event):
            self.problems.torn_bytes += len(rest)
            return []
        return [event]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def chunk(self) -> bytes:
        """Return the next raw bytes, empty at the end. Raises `SessionError`."""
        try:
            chunk = self._file.read(CHUNK_BYTES)
        except (OSError, EOFError, gzip.BadGzipFile) as error:
            raise SessionError(f"cannot read {self.path} ({error})") from None
        self._bytes += len(chunk)
        self.at_end = not chunk
        if self.path.suffix == ".gz" and self._bytes > MAX_UNPACKED_BYTES:
            raise SessionError(f"{self.path.name} unpacks to over 1 GiB", "it is not a session")
        return chunk

    def _events(self, chunk: bytes) -> Iterator[AnyEvent]:
        if self._header is None and self._line == 0 and not self._skipping and b"\n" in chunk:
            # The header alone: what follows it can be decoded together.
            first, _, chunk = chunk.partition(b"\n")
            yield from self._take_lines(first + b"\n")
        whole, newline, rest = chunk.rpartition(b"\n")
        decoded = self._at_once(bytes(self._partial) + whole) if newline else None
        if decoded is not None:
            self._partial[:] = rest
            yield from decoded
            return
        yield from self._take_lines(chunk)

    def _take_lines(self, chunk: bytes) -> Iterator[AnyEvent]:
        """Decode line by line, counting those that cannot be read; keep what has no newline."""
        *pieces, rest = chunk.split(b"\n")
        for piece in pieces:
            self._line += 1
            line = bytes(self._partial) + piece if self._partial else piece
            self._partial.clear()
            if self._skipping:
                self._skipping = False
                self.problems.reject(self._line, f"longer than {codec.MAX_LINE_BYTES} bytes")
                continue
            event = self._decode(line)
            if event is not None and isinstance(event, self._only):
                yield event
        if self._skipping:
            return
        self._partial += rest
        if len(self._partial) > codec.MAX_LINE_BYTES:
            self._partial.clear()
            self._skipping = True

    def _at_once(self, lines: bytes) -> list[AnyEvent] | None:
        """Decode lines together, in a quarter of the time; None if they must be read one by one."""
        if self._header is None or self._skipping or len(lines) > codec.MAX_LINE_BYTES:
            return None
        count = expected = lines.count(b"\n") + 1
        if self._wanted is not None:
            pieces = lines.split(b"\n")
            if not all(piece.startswith(_EVENT_START) for piece in pieces):
                return None
            wanted = [piece for piece in pieces if piece.startswith(self._wanted)]
            lines, expected = b"\n".join(wanted), len(wanted)
        decoded = codec.decode_events(lines)
        if (
            decoded is None
            or len(decoded) != expected
            or events.SessionHeader in map(type, decoded)
        ):
            return None
        self._line += count
        return decoded

    def _decode(self, line: bytes) -> AnyEvent | None:
        try:
            event = codec.decode_event(line)
        except BadLine as error:
            if self._line == 1:
                raise SessionError(
                    f"{self.path} is not a txtop session", f"its first line: {error}"
                ) from None
            self.problems.reject(self._line, str(error))
            if self.problems.rejected_count > MAX_REJECTED:
                raise build_junk_error(self.path) from None
            return None
        if event is None or not self._fits(event):
            return None
        return event

    def _fits(self, event: AnyEvent) -> bool:
        if self._header is not None:
            if isinstance(event, events.SessionHeader):
                self.problems.reject(self._line, "a second header")
                return False
            return True
        if not isinstance(event, events.SessionHeader):
            raise SessionError(
                f"{self.path} is not a txtop session", "its first line is not a header"
            )
        if event.schema[0] > events.LOG_SCHEMA[0]:
            raise SessionError(
                f"{self.path.name} has schema {event.schema[0]}.{event.schema[1]}, "
                f"this txtop reads {events.LOG_SCHEMA[0]}.x",
                "upgrade txtop",
            )
        self._header = event
        return True


def read_all(path: Path) -> tuple[list[AnyEvent], ReadProblems]:
    """Return every event of a session that is no longer being written. Raises `SessionError`."""
    reader = LogReader(path)
    try:
        stream: list[AnyEvent] = []
        while not reader.at_end:
            stream += reader.poll()
        stream += reader.finish()
    finally:
        reader.close()
    if not stream:
        raise build_empty_error(reader.path)
    return stream, reader.problems


def build_empty_error(path: Path) -> SessionError:
    """Return the error for a session without a single event."""
    return SessionError(f"{path} is empty", "the run ended before it wrote its header")


def build_junk_error(path: Path) -> SessionError:
    """Return the error for a file most of which is junk."""
    return SessionError(
        f"{path.name} has over {MAX_REJECTED:,} lines that are not events", "it is not a session"
    )


def iterate_raw_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line's number and bytes, with its newline if it has one.

    A line of over 1 MiB is None, so memory is bounded. Raises `SessionError`.
    """
    reader = LogReader(path)
    number, rest, skipping = 1, b"", False
    try:
        while chunk := reader.chunk():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                long = skipping or len(line) > codec.MAX_LINE_BYTES
                yield number, None if long else line + b"\n"
                number, skipping = number + 1, False
            if len(rest) > codec.MAX_LINE_BYTES:
                rest, skipping = b"", True
    finally:
        reader.close()
    if rest or skipping:
        yield number, None if skipping else rest
