"""`txtop stream`: the log of a session, to standard output, as it grows."""

from __future__ import annotations

import sys
import time
from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import SessionArgument, SessionDirOption
from txtop.errors import SessionError, UsageError

CHUNK_BYTES = 1 << 16
POLL_S = 0.05


def stream(
    session: SessionArgument,
    *,
    position: Annotated[
        int, Parameter(name="--from", help="leave out this many bytes; default 0")
    ] = 0,
    session_dir: SessionDirOption = None,
) -> int:
    """Print a session's log byte by byte, and follow it until its run ends.

    A run elsewhere is copied with it: where the line breaks, `--from` goes on after what is there.
    """
    from txtop.session.catalog import resolve_session
    from txtop.session.reader import find_log_path
    from txtop.session.writer import is_being_written

    path = resolve_session(session, session_dir)
    if position < 0:
        raise UsageError(f"--from {position} is below 0", "the bytes that are there already")
    log = find_log_path(path)
    try:
        file = log.open("rb")
    except OSError as error:
        raise SessionError(f"cannot read {log} ({error.strerror})") from None
    with file:
        if file.seek(0, 2) < position:
            raise SessionError(f"{log} is shorter than {position} bytes", "it is another session")
        file.seek(position)
        grows = True
        while True:
            if data := file.read(CHUNK_BYTES):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            elif not grows:
                return 0
            elif grows := is_being_written(path):
                time.sleep(POLL_S)
