"""The evidence that a silent process works."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.waiting import wait_until
from txtop.system import process_activity
from txtop.system.process_activity import ActivityWatch, ProcessActivity, read_activity

IMPORTS = "import mmap, subprocess, sys, threading, time"
SLEEP = "input()"
# Threads that poll, as those of progress bars do.
POLL = """
def poll():
    while True: time.sleep(0.5)
threading.Thread(target=poll, daemon=True).start()
input()
"""
COMPUTE = "while True: sum(range(1000))"
IN_A_CHILD = """
subprocess.run([sys.executable, "-c", "while True: sum(range(1000))"])
"""
READ = """
while True:
    with open(__import__("os").__file__, "rb", buffering=0) as file: file.read(8192)
    time.sleep(0.02)
"""
WRITE = """
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        file.write(bytes(8192))
        time.sleep(0.02)
"""
MAP = """
with open(sys.argv[1], "rb") as file:
    view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for place in range(0, len(view), 1 << 20):
        sum(view[place : place + (1 << 20) : 4096])
        time.sleep(0.02)
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a Python that has imported what it needs, says so, and runs `code`."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"{IMPORTS}; print(flush=True)\n{code}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.3)
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, 9)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            pipe.close()


def works(child: subprocess.Popen[str]) -> bool:
    """Watch a process for 0.6 s, as if it were 0.6 s of a load."""
    watch = ActivityWatch(child.pid, 0.0, interval_s=0.6)
    assert not watch.has_worked(0.5), "it is not time yet"
    time.sleep(0.6)
    return watch.has_worked(0.6)


@pytest.mark.parametrize("code", [SLEEP, POLL])
def test_a_process_that_waits_shows_no_work(code: str) -> None:
    with process(code) as child:
        assert not works(child)


@pytest.mark.parametrize("code", [COMPUTE, IN_A_CHILD, READ, WRITE])
def test_a_process_that_computes_reads_or_writes_shows_work(code: str, tmp_path: Path) -> None:
    with process(code, str(tmp_path / "file")) as child:
        assert works(child)


def test_a_process_that_is_gone_shows_no_work() -> None:
    with process(COMPUTE) as child:
        watch = ActivityWatch(child.pid, 0.0, interval_s=0.1)
        child.kill()
        child.wait()
        assert read_activity(child.pid) is None
        assert not watch.has_worked(1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="bytes of mapped files are counted on Linux")
def test_bytes_of_a_mapped_file_count_as_read(tmp_path: Path) -> None:
    """The file is in memory, so that no disk counts them."""
    path = tmp_path / "weights"
    path.write_bytes(os.urandom(64 << 20))
    with process(MAP, str(path)) as child:
        watch = ActivityWatch(child.pid, 0.0, interval_s=0.1)
        looks_s = itertools.count(0.5, 0.5)
        wait_until(lambda: watch.has_worked(next(looks_s)) and watch.done_bytes > 1 << 20)
        assert watch.done_bytes <= 64 << 20
        watch.count_from_here()
        assert watch.done_bytes == 0


def test_a_mapped_file_that_is_closed_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a file are mapped one after the other; the end of each shrinks what is mapped."""
    mapped = iter([0, 300, 100, 350])

    def look(_pid: int) -> ProcessActivity:
        return ProcessActivity(cpu_s=0.0, read_bytes=0, moved_bytes=0, mapped_bytes=next(mapped))

    monkeypatch.setattr(process_activity, "read_activity", look)
    watch = ActivityWatch(1, 0.0, interval_s=1.0)
    for second in (1.0, 2.0, 3.0):
        watch.has_worked(second)
    assert watch.done_bytes == 550
