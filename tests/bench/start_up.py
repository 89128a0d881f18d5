"""Measure how long txtop takes to answer: version, help, the first paint of the home screen and the
first outcome of a session on it.

Medians of five, with `python -c pass` beside them.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
from statistics import median

TXTOP = (sys.executable, "-m", "txtop")
ROUNDS = 5
RATES = (b"tok/s", b"seq/s")


def answered_s(*command: str) -> float:
    """Return the seconds from start to exit."""
    start_s = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start_s


def painted_s(state_home: str, wanted: tuple[bytes, ...] = (b"sessions",)) -> float:
    """Return the seconds from start until one of the texts `wanted` was written to a terminal."""
    start_s = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "XDG_STATE_HOME": state_home}
        os.execv(TXTOP[0], TXTOP)
    seen = b""
    while not any(text in seen for text in wanted):
        if not select.select([fd], [], [], 10)[0]:
            raise SystemExit("no picture within 10 s")
        seen += os.read(fd, 65536)
    taken_s = time.perf_counter() - start_s
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    return taken_s


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in (
            ("python -c pass", lambda: answered_s(sys.executable, "-c", "pass")),
            ("txtop --version", lambda: answered_s(*TXTOP, "--version")),
            ("txtop --help", lambda: answered_s(*TXTOP, "--help")),
            ("home painted", lambda: painted_s(folder)),
            ("first outcome", lambda: painted_s(folder, RATES)),
        ):
            taken = sorted(measure() for _ in range(ROUNDS))
            print(f"{name:<16} median {median(taken):.3f} s   ({taken[0]:.3f} to {taken[-1]:.3f})")


if __name__ == "__main__":
    main()
