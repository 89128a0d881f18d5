"""Start a runner in a session of its own, hold its lifeline, and read how it ended."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from txtop.errors import RunError
from txtop.plan.plan import Plan
from txtop.protocol.codec import BadLine, decode_event
from txtop.protocol.events import Segment
from txtop.runner.control_client import SOCKET_NAME, TAIL_BYTES
from txtop.sanitise import find_last_text
from txtop.session.catalog import check_name, get_sessions_dir
from txtop.session.reader import find_log_path
from txtop.session.writer import create_session_folder
from txtop.settings import OnHangup
from txtop.system.search_path import build_module_command

RUNNER_LOG = "runner.log"
_PROFILER_NOISE = "USDT:"
START_TIMEOUT_S = 15.0


@dataclass
class LaunchedRun:
    """A runner that has begun its log in the session folder `path`.

    With `on_hangup="stop"` it ends with the process that holds this object, or when
    `process.stdin` is closed.
    """

    path: Path
    process: subprocess.Popen[bytes]


def start_run(
    plan: Plan,
    *,
    session_dir: Path | None,
    name: str | None = None,
    on_hangup: OnHangup = "continue",
    screen_pid: int | None = None,
) -> LaunchedRun:
    """Create the session's folder, start its runner, and wait until the log has begun.

    Raises:
        RunError: the folder cannot be written, or the runner ends at once.
    """
    folder = _create_folder((session_dir or get_sessions_dir()).expanduser(), name)
    options = ["--name", name] if name else []
    return _launch(folder, options, msgspec.json.encode(plan) + b"\n", on_hangup, screen_pid)


def resume_run(
    folder: Path, *, on_hangup: OnHangup = "continue", screen_pid: int | None = None
) -> LaunchedRun:
    """Start a runner for what is missing of a session, and wait until it continues the log.

    Raises:
        RunError: another process writes to the session, or the runner ends at once.
    """
    return _launch(folder.resolve(), ["--resume"], b"", on_hangup, screen_pid)


def _launch(
    folder: Path, options: list[str], line: bytes, on_hangup: OnHangup, screen_pid: int | None
) -> LaunchedRun:
    command = build_module_command("txtop.runner", str(folder), "--on-hangup", on_hangup, *options)
    command += ["--screen", str(screen_pid)] if screen_pid else []
    try:
        log = os.open(folder / RUNNER_LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    except OSError as error:
        raise RunError(
            f"cannot write in the session {folder.name} ({error.strerror})",
            "a session is resumed by the user who began it",
        ) from None
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
        if on_hangup == "continue":
            process.stdin.close()
    except BrokenPipeError:
        pass
    _wait_for_log(folder, process)
    return LaunchedRun(folder, process)


def _create_folder(parent: Path, name: str | None) -> Path:
    """Create a session folder named `name`, else by the time, with a number if that is taken."""
    stem = check_name(name) if name else f"{datetime.now():%y%m%d-%H%M%S}"
    folder = parent / stem
    number = 2
    with suppress(PermissionError):
        while not name and folder.exists():
            folder = parent / f"{stem}-{number}"
            number += 1
    create_session_folder(folder)
    return folder.resolve()


def hold_run(launched: LaunchedRun) -> Path:
    """Hold a run's lifeline until this process ends. Return the session's folder."""
    _held.append(launched)
    return launched.path


def get_exit_code(path: Path) -> int | None:
    """Return the exit code of the runner held for `path`, None if it runs or is not held."""
    processes = [launched.process for launched in _held if launched.path == path]
    return processes[-1].poll() if processes else None


# The pipe to a runner is its lifeline: garbage collection must not close it.
_held: list[LaunchedRun] = []


def _wait_for_log(folder: Path, process: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + START_TIMEOUT_S
    while not _has_opened(find_log_path(folder), process.pid):
        if process.poll() is not None:
            raise RunError(f"the runner did not start: {read_last_log_line(folder)}")
        if time.monotonic() > give_up_s:
            raise RunError(
                "the runner did not begin its log within 15 s", f"see {folder}/{RUNNER_LOG}"
            )
        time.sleep(0.02)


def _has_opened(log: Path, pid: int) -> bool:
    """Check that the end of the log holds a segment event of the process `pid`."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return False
    for line in reversed(lines):
        with suppress(BadLine):
            event = decode_event(line) if b'"segment"' in line else None
            if isinstance(event, Segment) and event.pid == pid:
                return True
    return False


def was_killed(folder: Path) -> bool:
    """Return whether a runner that is gone left its socket; one that ends by itself removes it."""
    return (folder / SOCKET_NAME).exists()


def read_last_log_line(folder: Path) -> str:
    """Return the last line of the runner's own log, "no word" without one.

    What torch's profiler and the bars of a load print into it says nothing of the runner.
    """
    try:
        text = (folder / RUNNER_LOG).read_text(errors="replace")
    except OSError:
        return "no word"
    lines = [line for line in text.split("\n") if not line.startswith(_PROFILER_NOISE)]
    lines = list(filter(str.strip, map(find_last_text, lines)))
    return lines[-1] if lines else "no word"
