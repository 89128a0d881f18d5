"""A command in a terminal of its own, read and written without blocking."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Sequence
from contextlib import suppress

READ_BYTES = 1 << 16
LARGEST_SIDE = 500
GRACE_S = 3.0


class Viewer:
    """A running command. `close` ends it; leaving it to the collector does not."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master

    @classmethod
    async def start(cls, command: Sequence[str], columns: int, rows: int) -> Viewer:
        """Start `command` in a terminal of that size, with colours and UTF-8."""
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        _set_size(slave, columns, rows)
        environ = {
            name: value
            for name, value in os.environ.items()
            if name not in ("COLUMNS", "LINES", "NO_COLOR", "SSH_CONNECTION", "TXTOP_WEB_TOKEN")
        }
        environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=slave, stdout=slave, stderr=slave, env=environ,
                start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return cls(process, master)

    async def read(self) -> bytes:
        """Return what the command drew; empty once it has ended."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._master, READ_BYTES)
            except BlockingIOError:
                readable = loop.create_future()
                loop.add_reader(self._master, _resolve, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._master)
            except OSError:
                # Linux says so where nobody holds the other end any more.
                return b""

    def write(self, data: bytes) -> None:
        """Type `data`. A command that reads nothing loses keys, as a full terminal does."""
        with suppress(OSError):
            os.write(self._master, data)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        with suppress(OSError):
            _set_size(self._master, columns, rows)

    async def close(self) -> None:
        """Take the terminal away, and end a command that does not mind."""
        os.close(self._master)
        try:
            await asyncio.wait_for(self._process.wait(), GRACE_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _set_size(fd: int, columns: int, rows: int) -> None:
    sides = [max(1, min(side, LARGEST_SIDE)) for side in (rows, columns)]
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *sides, 0, 0))
