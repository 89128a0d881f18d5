"""A log is copied byte for byte, whatever happens to the line."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from support.waiting import WAIT_S, wait_until
from txtop.fleet import log_copy
from txtop.fleet.log_copy import LogCopy

STREAM = """
import os, sys, time
path, done, position = sys.argv[1], sys.argv[2], int(sys.argv[3])
file = open(path, "rb")
file.seek(position)
while True:
    over = os.path.exists(done)
    data = file.read(4096)
    if data:
        os.write(1, data)
    elif over:
        break
    else:
        time.sleep(0.01)
"""


class Remote:
    """A log that grows elsewhere, and the command that prints it."""

    def __init__(self, folder: Path) -> None:
        self.log, self.done = folder / "there.jsonl", folder / "done"
        self.log.touch()
        self.positions: list[int] = []

    def stream(self, position: int) -> list[str]:
        self.positions.append(position)
        command = [sys.executable, "-S", "-c", STREAM, str(self.log), str(self.done)]
        return [*command, str(position)]

    def write(self, data: bytes) -> None:
        with self.log.open("ab", buffering=0) as file:
            file.write(data)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def test_a_line_that_breaks_again_and_again_loses_and_repeats_nothing(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_copy, "RETRY_S", (0.0,))
    copy = LogCopy(tmp_path / "here", remote.stream)
    rng = random.Random(1)
    copy.start()
    for breaks in range(1, 6):
        for number in range(60):
            remote.write(b'{"seq": %d, "text": "%s"}\n' % (number, b"x" * rng.randrange(2000)))
        wait_until(lambda: copy.state == "copying")
        assert copy._process is not None
        os.killpg(copy._process.pid, signal.SIGKILL)
        wait_until(lambda breaks=breaks: copy.breaks == breaks)
    remote.done.touch()
    wait_until(lambda: copy.state == "complete")
    assert len(remote.positions) == 6 and sorted(remote.positions) == remote.positions
    assert (tmp_path / "here" / "events.jsonl").read_bytes() == remote.log.read_bytes()


def test_a_silent_line_is_ended_and_begun_anew(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_copy, "SILENT_S", 0.5)
    monkeypatch.setattr(log_copy, "RETRY_S", (0.0,))
    copy = LogCopy(tmp_path / "here", remote.stream)
    copy.start()
    remote.write(b"1\n")
    wait_until(lambda: copy.state == "copying")
    process = copy._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    remote.write(b"2\n")
    here = tmp_path / "here" / "events.jsonl"
    wait_until(lambda: here.exists() and here.read_bytes() == b"1\n2\n")
    assert process.poll() is not None and copy.breaks >= 1
    remote.done.touch()
    wait_until(lambda: copy.state == "complete")


def test_a_torn_line_is_not_written_before_the_end(tmp_path: Path, remote: Remote) -> None:
    copy = LogCopy(tmp_path / "here", remote.stream)
    here = tmp_path / "here" / "events.jsonl"
    copy.start()
    remote.write(b"whole\ntorn")
    wait_until(lambda: here.exists() and here.read_bytes() == b"whole\n")
    time.sleep(0.1)
    assert here.read_bytes() == b"whole\n"
    remote.done.touch()
    wait_until(lambda: copy.state == "complete")
    assert here.read_bytes() == b"whole\ntorn"


def test_a_copy_goes_on_where_an_earlier_one_was_closed(tmp_path: Path, remote: Remote) -> None:
    remote.write(b"one\n")
    first = LogCopy(tmp_path / "here", remote.stream)
    first.start()
    wait_until(lambda: first.state == "copying")
    first.close()
    assert first.state == "closed" and not first.is_over
    remote.write(b"two\n")
    remote.done.touch()
    second = LogCopy(tmp_path / "here", remote.stream)
    second.start()
    wait_until(lambda: second.state == "complete")
    assert remote.positions == [0, 4]
    assert (tmp_path / "here" / "events.jsonl").read_bytes() == b"one\ntwo\n"


def test_a_copy_that_is_closed_while_its_command_starts_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_copy, "RETRY_S", (0.0,))
    started, released = threading.Event(), threading.Event()
    commands = iter([["false"], ["sleep", "600"]])

    def stream(_position: int) -> list[str]:
        command = next(commands)
        if command[0] == "sleep":
            started.set()
            assert released.wait(WAIT_S)
        return command

    copy = LogCopy(tmp_path / "here", stream)
    copy.start()
    assert started.wait(WAIT_S)
    closing = threading.Thread(target=copy.close, daemon=True)
    closing.start()
    wait_until(copy._stopping.is_set)
    released.set()
    try:
        wait_until(lambda: not closing.is_alive(), within_s=log_copy.BEGIN_S / 2)
    finally:
        copy._end_process()
    assert copy.state == "closed"


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no route to host >&2; exit 255"]
    copy = LogCopy(tmp_path / "failing", lambda _position: command)
    copy.start()
    wait_until(lambda: copy.problem)
    assert copy.problem == "no route to host" and copy.state == "connecting"
    copy.close()
    assert not any(t.name == "copy failing" for t in threading.enumerate())


def test_a_refusal_of_txtop_itself_is_not_asked_again(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo txtop: no session f-a >&2; exit 4"]
    copy = LogCopy(tmp_path / "here", lambda _position: command)
    copy.start()
    wait_until(lambda: copy.state == "given up")
    assert copy.problem == "txtop: no session f-a" and not copy.breaks
