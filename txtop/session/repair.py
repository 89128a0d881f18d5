"""Repair the end of a log after a kill or a power cut, so that it can be appended to."""

from __future__ import annotations

import os
from pathlib import Path

from txtop.protocol import codec
from txtop.protocol.codec import BadLine

TORN_NAME = "torn"
CHUNK_BYTES = 1 << 16


def repair_log(log: Path) -> int:
    """Leave `log` with a newline at its end, or empty, or absent, and return the torn bytes.

    A last record that lacks only its newline gets one. Anything else after the last newline is
    moved to the end of the file `torn` beside the log, and is on disk there before it is cut off
    here. Raises `OSError`.
    """
    try:
        fd = os.open(log, os.O_RDWR)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(fd).st_size
        whole = find_line_end(fd, size)
        torn = size - whole
        if not torn:
            return 0
        if torn <= codec.MAX_LINE_BYTES and _is_event(os.pread(fd, torn, whole)):
            os.pwrite(fd, b"\n", size)
            os.fsync(fd)
            return 0
        _set_aside(fd, whole, log.parent / TORN_NAME)
        os.ftruncate(fd, whole)
        os.fsync(fd)
        return torn
    finally:
        os.close(fd)


def find_line_end(fd: int, size: int) -> int:
    """Return the bytes of an open file of `size` bytes up to its last newline, that included."""
    end = size
    while end > 0:
        start = max(0, end - CHUNK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _is_event(line: bytes) -> bool:
    try:
        return codec.decode_event(line) is not None
    except BadLine:
        return False


def _set_aside(fd: int, start: int, where: Path) -> None:
    aside = os.open(where, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        while chunk := os.pread(fd, CHUNK_BYTES, start):
            while chunk:
                sent = os.write(aside, chunk)
                chunk, start = chunk[sent:], start + sent
        os.fsync(aside)
    finally:
        os.close(aside)
