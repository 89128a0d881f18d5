"""The processes of the acceptance run: each with a limit, killed with all that it started.

Standard library alone, like every module here: what a machine lacks must end one step, not all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULT = "RESULT "
MARK = "TXTOP_ACCEPT_STEP"
LAST_LINES = 15
SLOWER_ON_A_CPU = 6
"""The factor on the limits of a rehearsal, which shares its few cores with other work."""


class Skip(Exception):
    """A step cannot run here; the text says why."""


class StepFailed(Exception):
    """A step ended without a result. `lines` are the last that its process wrote."""

    def __init__(self, reason: str, lines: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.lines = list(lines)[-LAST_LINES:]


@dataclass
class Finished:
    """A process that has ended: its exit code, its texts and the seconds it took."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """The lines of both outputs, standard error last."""
        return [*self.out.splitlines(), *self.err.splitlines()]

    def result(self) -> Any:
        """Return the JSON after the last `RESULT`. Raises `StepFailed` if there is none."""
        for line in reversed(self.out.splitlines()):
            if line.startswith(RESULT):
                return json.loads(line.removeprefix(RESULT))
        raise StepFailed(f"no result, exit code {self.code}", self.lines)


@dataclass
class TxtopRun:
    """A run of txtop: its process, its export (None without one) and its log as plain events."""

    done: Finished
    export: dict[str, Any] | None
    events: list[dict[str, Any]]
    runner_log: str
    session: str

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The exported cells. Raises `StepFailed` if there is no export."""
        if self.export is None:
            raise StepFailed(f"no export, exit code {self.done.code}", self.done.lines)
        cells: list[dict[str, Any]] = self.export["cells"]
        return cells


@dataclass
class Site:
    """The machine of one step: its device, its folders and the time it may take.

    In a rehearsal the device is a CPU, models are small folders, and `models` has them by name.
    """

    device: str
    work: Path
    out: Path
    rehearsal: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    until_s: float = float("inf")
    options: dict[str, bool] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    """Lines about the cells of this step that did not end ok, printed if it fails."""

    @property
    def cuda(self) -> bool:
        return self.device == "cuda"

    def left_s(self) -> float:
        """Return the seconds that this step has left."""
        return self.until_s - time.monotonic()

    def model(self, name: str) -> str:
        """Return the built-in name, or the small folder that stands for it in a rehearsal."""
        return self.models.get(name, name)

    def scale(self, full: int, rehearsed: int) -> int:
        """Return the number for this device."""
        return rehearsed if self.rehearsal else full

    def need_cuda(self) -> None:
        """Raise `Skip` without a CUDA device."""
        if not self.cuda:
            raise Skip("no CUDA device")

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of a child; the mark lets all its descendants be found."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        base = {
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.work / "hf"),
            "TXTOP_SESSION_DIR": os.environ.get("TXTOP_SESSION_DIR", str(self.work / "sessions")),
            "XDG_CONFIG_HOME": str(self.work / "config"),
            MARK: uuid.uuid4().hex,
        }
        return {**os.environ, **base, **extra}

    def run(
        self, command: Sequence[str], *, limit_s: float | None = None, **extra: str
    ) -> Finished:
        """Run `command` in the root of the repository, for at most what the step has left.

        Raises `StepFailed` if it takes longer; its descendants are killed then, and at its end.
        """
        return run_command(command, self.environment(**extra), min(limit_s or 1e9, self.left_s()))

    def program(self, name: str, *arguments: str, **extra: str) -> Any:
        """Run a part of `programs.py` in a process of its own. Return its result."""
        script = str(Path(__file__).with_name("programs.py"))
        return self.run([sys.executable, script, name, *arguments], **extra).result()

    def has_option(self, option: str) -> bool:
        """Return True if `txtop run` takes `option`."""
        if option not in self.options:
            done = self.run([sys.executable, "-m", "txtop", "run", "--help"])
            self.options[option] = option in done.out
        return self.options[option]

    def txtop(
        self, *arguments: str, profile: bool = False, device: bool = True, **extra: str
    ) -> TxtopRun:
        """Run `txtop run` or `ab` without a screen; the rehearsal names its device.

        Each cell's profiled pass costs a process of its own: off unless it is looked at.
        """
        file = self.work / f"{uuid.uuid4().hex}.json"
        command = [sys.executable, "-m", "txtop", *arguments, "--headless", "--json", str(file)]
        if not self.cuda and device:
            command += ["--device", "cpu"]
        if not profile and self.has_option("--profile"):
            command += ["--profile", "none"]
        environment = self.environment(**extra)
        done = run_command(command, environment, self.left_s())
        export = json.loads(file.read_text()) if file.is_file() else None
        session = find_session(done.err)
        folder = Path(environment["TXTOP_SESSION_DIR"]) / session
        events = read_events(folder)
        self.trouble += describe_trouble(done, events)
        log = read_text(folder / "runner.log")
        return TxtopRun(done, export, events, log, session)


def run_command(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> Finished:
    """Run a command whose environment has `MARK`, then kill what is left of it.

    Raises `StepFailed` if it takes longer than `limit_s`, or cannot be started.
    """
    start_s = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise StepFailed(f"{command[0]} cannot be started: {error}") from error
    try:
        out, err = process.communicate(timeout=max(0.1, limit_s))
    except subprocess.TimeoutExpired:
        kill_marked(environment[MARK])
        with suppress(ProcessLookupError):
            process.kill()
        try:
            # A descendant that could not be killed may hold the pipes.
            out, err = process.communicate(timeout=5)
        except subprocess.TimeoutExpired as error:
            out, err = (as_text(part) for part in (error.stdout, error.stderr))
        reason = f"over its limit: {limit_s:.0f} s"
        raise StepFailed(reason, [*out.splitlines(), *err.splitlines()]) from None
    except BaseException:
        kill_marked(environment[MARK])
        raise
    kill_marked(environment[MARK])
    return Finished(process.returncode, out, err, time.monotonic() - start_s)


def describe_trouble(done: Finished, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the last lines of every cell that failed, and of a run that ended without a log."""
    lines: list[str] = []
    for event in events:
        if event["kind"] == "cell_finished" and event["status"] != "ok":
            lines.append(f"{event['cell']} {event['status']}: {event.get('reason')}")
            lines += event.get("stderr", [])[-LAST_LINES:]
    if done.code and not lines:
        lines = done.lines[-LAST_LINES:]
    return lines


def as_text(part: str | bytes | None) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part or ""


def list_marked(mark: str) -> list[int]:
    """Return the processes whose environment carries `mark`, in sessions of their own too."""
    sign = f"{MARK}={mark}".encode()
    marked = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if sign in (folder / "environ").read_bytes().split(b"\0"):
                marked.append(int(folder.name))
    return marked


def kill_marked(mark: str) -> None:
    """Kill the processes of `mark` until none is left, for two seconds at most."""
    for _ in range(20):
        pids = [pid for pid in list_marked(mark) if pid != os.getpid() and not is_zombie(pid)]
        if not pids:
            return
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


def find_worker(mark: str) -> int | None:
    """Return the pid of a worker among the processes of `mark`."""
    for pid in list_marked(mark):
        with suppress(OSError):
            if b"txtop.worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
    return None


def find_session(text: str) -> str:
    """Return the name in the line `session NAME` of a run."""
    lines = [line for line in text.splitlines() if line.startswith("session ")]
    return lines[0].split()[1] if lines else "none"


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a session; a last line that is cut off is left out."""
    events = []
    for line in read_text(folder / "events.jsonl").splitlines():
        with suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return events


def read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def alternate(arms: Mapping[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Run each arm twice, in the order A B C C B A, and return the results of each."""
    order = [*arms, *reversed(list(arms))]
    results: dict[str, list[Any]] = {name: [] for name in arms}
    for name in order:
        results[name].append(arms[name]())
    return results


def wait_for(
    condition: Callable[[], Any], limit_s: float, pause_s: float = 0.05
) -> tuple[Any, float]:
    """Return the first true value of `condition` and the seconds until then.

    After `limit_s` the value is None.
    """
    start_s = time.monotonic()
    while True:
        value = condition()
        waited_s = time.monotonic() - start_s
        if value:
            return value, waited_s
        if waited_s > limit_s:
            return None, waited_s
        time.sleep(pause_s)
