"""A disk that fills during a run: measuring continues, and followers keep up from memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import full_disk
from support.paths import SHIM_DISK
from support.waiting import WAIT_S, wait_until
from txtop.protocol import codec, events
from txtop.runner.control_client import ControlClient
from txtop.session.follower import Follower
from txtop.session.reader import read_all
from txtop.session.writer import LOG_NAME, MAX_BUFFERED_BYTES, LogWriter, create_session_folder
from txtop.state.fold import fold_all
from txtop.ui.modes import LiveMode

ITERATIONS = 500
LIMIT_BYTES = 60_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MB; needs root and the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small file system here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def run(folder: Path, *sizes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, full_disk.__file__, str(folder), *map(str, sizes)]
    return subprocess.Popen(command)


def watched_to_its_end(runner: subprocess.Popen[bytes], folder: Path) -> list[Follower]:
    """Follow the run to its end with two followers, one of them late, and check the banner."""
    control = ControlClient(folder)
    followers = [Follower(folder, control.tail)]
    show = LiveMode(path=folder)
    banners: set[str] = set()
    opened = False
    give_up_s = time.monotonic() + WAIT_S
    while not followers[0].finished or not followers[-1].finished:
        assert time.monotonic() < give_up_s, "the followers never saw the end"
        for follower in followers:
            follower.update()
        status = control.status()
        if status is not None and status.write_error:
            assert status.buffered_bytes > 0
            if not opened:
                opened = True
                followers.append(show.open())
            banner = show.build(followers[-1]).banner
            banners.add(banner.text if banner else "")
        time.sleep(0.05)
    show.close()
    assert any("cannot write the log" in text for text in banners), banners
    assert runner.wait(WAIT_S) != 0
    return followers


@pytest.mark.fault(7)
def test_a_full_disk_costs_the_recording_alone(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    runner = run(folder, ITERATIONS, LIMIT_BYTES)
    followers = watched_to_its_end(runner, folder)
    for follower in followers:
        assert len(follower.state.cells["c001"].samples.kept()) == ITERATIONS
        assert follower.state.ended is not None and follower.state.ended.reason == "done"
    assert followers[0].state.log == followers[1].state.log
    logged, problems = read_all(folder)
    assert not problems.lines() and (folder / LOG_NAME).stat().st_size <= LIMIT_BYTES
    assert [e.seq for e in logged] == list(range(1, len(logged) + 1))
    written = fold_all(logged).cells["c001"].samples
    assert 0 < len(written) < ITERATIONS
    assert written.e2e_ns == followers[0].state.cells["c001"].samples.e2e_ns[: len(written)]


@pytest.mark.slow
@pytest.mark.fault(7)
def test_a_small_file_system_that_fills(small_disk: Path) -> None:
    folder = small_disk / "s"
    (small_disk / "other").write_bytes(b"x" * 950_000)
    runner = run(folder, ITERATIONS)
    followers = watched_to_its_end(runner, folder)
    assert len(followers[0].state.cells["c001"].samples.kept()) == ITERATIONS
    logged, problems = read_all(folder)
    assert not problems.lines() and 0 < len(logged) < followers[0].state.last_seq


@pytest.mark.fault(7)
def test_room_that_comes_back_makes_the_log_whole(small_disk: Path) -> None:
    folder = small_disk / "s"
    (small_disk / "other").write_bytes(b"x" * 950_000)
    runner = run(folder, ITERATIONS)
    control = ControlClient(folder)
    follower = Follower(folder, control.tail)

    def cannot_write() -> bool:
        follower.update()
        status = control.status()
        return status is not None and bool(status.write_error)

    wait_until(cannot_write)
    wait_until(follower.update)
    (small_disk / "other").unlink()
    wait_until(lambda: follower.update() and follower.finished)
    assert runner.wait(WAIT_S) == 0
    logged, problems = read_all(folder)
    assert not problems.lines()
    assert fold_all(logged) == follower.state


@pytest.mark.fault(7)
def test_the_buffer_is_bounded_and_results_come_last_to_be_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    writer = LogWriter(folder)
    real = os.write
    full = [True]

    def write(fd: int, data: bytes) -> int:
        if full[0] and fd == writer._fd:
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    text = "x" * 10_000
    for _ in range(2000):
        writer.record(events.Log(t_ns=1, text=text))
    last = writer.record(events.CellFinished(t_ns=1, cell="c001", status="ok"))
    assert writer.buffered_bytes <= MAX_BUFFERED_BYTES and writer.dropped > 300
    wait_until(lambda: writer.write_error)
    pages, after = 0, 0
    seen: list[int] = []
    while page := writer.unwritten(after):
        pages += 1
        seen += [event.seq for line in page if (event := codec.decode_event(line)) is not None]
        after = seen[-1]
    assert pages > 100 and seen == list(range(1, last.seq + 1))
    full[0] = False
    assert not writer.close()
    assert read_all_events(folder) == seen


def read_all_events(folder: Path) -> list[int]:
    """Return the sequence numbers of the lines that were written; there is no header here."""
    lines = (folder / LOG_NAME).read_bytes().splitlines()
    return [event.seq for line in lines if (event := codec.decode_event(line)) is not None]


@pytest.mark.fault(8)
def test_a_disk_that_confirms_nothing_is_said_at_the_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "txtop", "run", "--headless", "--models", "ok"]
    command += ["--name", "s", "--sequence-lengths", "8", "--iterations", "5"]
    done = subprocess.run(
        command,
        env={
            **os.environ,
            "PYTHONPATH": str(SHIM_DISK),
            "TXTOP_SESSION_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 1 and "ok" in done.stdout
    assert "durability lost: the disk did not confirm" in done.stderr.splitlines()[-1]
    assert not read_all(tmp_path / "s")[1].lines()
