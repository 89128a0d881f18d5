"""Real workers and screens that start at once, forked from a process that did the imports.

A cold start of `python -m txtop.worker` costs 4 s of CPU and one of a screen 0.7 s, nearly all of
it imports. A test that shows nothing of the start itself, of a GPU, or of a worker's process id
takes a warm one.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from support.paths import ROOT, SHIM_RAY, SHIM_WARM, SUPPORT

WORKER = ROOT / "txtop" / "worker" / "__main__.py"
RAY = ROOT / "txtop" / "fleet" / "engines" / "ray.py"


FOLDER = "TXTOP_WARM_SERVERS"
"""Names the folder of the servers of a test run: their sockets, and the pipe that ends them."""


def share_servers() -> None:
    """Have all test processes that this one starts share servers, which end with this one."""
    if FOLDER in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="txtop-warm-")
    os.mkfifo(Path(folder.name) / "end")
    # Nothing is ever written: the standard input of the servers ends as this descriptor is closed.
    end = os.open(Path(folder.name) / "end", os.O_RDWR)
    os.environ[FOLDER] = folder.name

    def close() -> None:
        os.close(end)
        folder.cleanup()

    atexit.register(close)


@cache
def start_server(kind: str) -> str:
    """Start the server that has imported a `worker`, the `screen` or `ray`, once in this run.

    Return the path of its socket.
    """
    share_servers()
    folder = Path(os.environ[FOLDER])
    path = folder / kind
    with (folder / f"{kind}.lock").open("w") as lock, (folder / "end").open("rb") as end:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return str(path)
        server = subprocess.Popen(
            [sys.executable, str(SUPPORT / "warm_server.py"), kind, str(path)],
            stdin=end,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LANG": "C.UTF-8"},
        )
        while not path.exists():
            assert server.poll() is None, f"the {kind} server ended"
            time.sleep(0.02)
    return str(path)


def build_warm_command(script: Path = WORKER) -> tuple[str, ...]:
    """Return the command of a warm worker, or of another script in a process as warm."""
    return _build_client(start_server("worker"), script)


def build_warm_program(script: Path) -> tuple[str, ...]:
    """Return the command of a script in a process that has imported command line and screen."""
    return _build_client(start_server("screen"), script)


def _build_client(server: str, script: Path) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(SUPPORT / "warm_client.py"), server, str(script))


def build_warm_environment() -> dict[str, str]:
    """Return the changes of environment that make a txtop process start warm workers."""
    paths = [str(SHIM_WARM), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "TXTOP_WARM_WORKER": json.dumps(build_warm_command()),
    }


def build_ray_environment() -> dict[str, str]:
    """Return the changes of environment that make a txtop process ask Ray by warm processes."""
    return {
        "PYTHONPATH": os.pathsep.join([str(SHIM_RAY), str(ROOT)]),
        "TXTOP_WARM_RAY": json.dumps(_build_client(start_server("ray"), RAY)),
    }
