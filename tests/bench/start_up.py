"""Measure how long txtop takes to answer: version, help, the sessions, one of them, the first paint
of the home screen and the first outcome of a session on it.

Medians of five, also as multiples of `python -c pass`. Each round has all of them in turn.
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
from collections.abc import Callable
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
        rows: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: answered_s(sys.executable, "-c", "pass"),
            "txtop --version": lambda: answered_s(*TXTOP, "--version"),
            "txtop --help": lambda: answered_s(*TXTOP, "--help"),
            "txtop sessions": lambda: answered_s(*TXTOP, "sessions"),
            "txtop show": lambda: answered_s(*TXTOP, "show", "smollm2-int8"),
            "home painted": lambda: painted_s(folder),
            "first outcome": lambda: painted_s(folder, RATES),
        }
        rounds = [{name: measure() for name, measure in rows.items()} for _ in range(ROUNDS)]
    medians = {name: median(one[name] for one in rounds) for name in rows}
    bare_s = medians["python -c pass"]
    for name, middle_s in medians.items():
        taken = sorted(one[name] for one in rounds)
        spread = f"{taken[0]:.3f} to {taken[-1]:.3f}"
        print(f"{name:<16} median {middle_s:.3f} s   ({spread})   {middle_s / bare_s:5.1f}x")


if __name__ == "__main__":
    main()
