"""Kill every kind of process in turn by SIGKILL at a drawn moment, check the log, and resume.

`python tests/support/kills.py [--runs 200] [--seed N]` measures a tiny model in each run. It prints
the seed, each run, and the counts of each role; the exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import tiny_models
from support.command_line import TXTOP
from support.paths import ROOT
from support.terminal_process import TerminalProcess
from support.warm_workers import build_warm_program
from txtop.analysis.edge import find_edges
from txtop.analysis.tuning import find_result
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.runner.control_client import ControlClient
from txtop.session.player import Player
from txtop.session.reader import read_all
from txtop.session.writer import LOG_NAME
from txtop.state.fold import fold_all

MAIN = ROOT / "txtop" / "__main__.py"
ROLES = ("runner", "worker", "sampler", "screen", "headless")
OPTIONS = ("--sequence-lengths", "8", "--new-tokens", "8", "--batch-sizes", "1", "2")
RACE = (
    "--space", "precisions=fp32,bf16 batch-sizes=1,4", "--threads", "1", "--sequence-length", "8",
    "--new-tokens", "8", "--device", "cpu", "--floor", "none",
)  # fmt: skip
BLOCKS_BEFORE = 3
SEARCH = ("--new-tokens", "4", "--iterations", "1", "--device", "cpu")
PROBES_BEFORE = 2
Stage = Literal["race", "confirm"]
LATEST_NS = 1_000_000_000
GONE_S = 5.0
OVER_S = 90.0
SCREEN = "import sys; sys.argv[1:] = {!r}; from txtop.__main__ import main; sys.exit(main())"


@dataclass
class Fate:
    """The outcome of one run: the process killed and when, and the checks that failed."""

    role: str
    after_s: float
    killed: bool = False
    age_s: float | None = None
    cells: int = 0
    winner: tuple[str, int] | None = None
    edge: tuple[int, int] | None = None
    wrong: list[str] = field(default_factory=list)

    def check(self, holds: object, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def __str__(self) -> str:
        age = "" if self.age_s is None else f", last event {self.age_s:.2f} s older"
        end = "; ".join(self.wrong) or "finished by resume"
        what = "killed" if self.killed else "over before the kill"
        return f"{self.role:<9} {what} after {self.after_s:5.2f} s{age}, {self.cells} ok: {end}"


class Trial:
    """One run of a command in `folder`, under a screen or headless."""

    def __init__(
        self, folder: Path, command: Sequence[str], role: str, env: dict[str, str]
    ) -> None:
        self.session = folder / "s"
        self._env = {**env, "TXTOP_SESSION_DIR": str(folder)}
        command = [*command, "--name", "s"]
        # Whoever kills the command itself wants the one that a person starts.
        self._program = TXTOP if role == "headless" else build_warm_program(MAIN)
        self._terminal: TerminalProcess | None = None
        if role == "screen":
            self._terminal = TerminalProcess(SCREEN.format(command), env=self._env)
            self.command_pid = self._terminal.pid
            self._over = threading.Event()
            self._reading = threading.Thread(target=self._read_screen, daemon=True)
            self._reading.start()
        else:
            self._process = self.txtop(*command, "--headless")
            self.command_pid = self._process.pid

    def txtop(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._program, *command],
            env={**os.environ, **self._env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _read_screen(self) -> None:
        assert self._terminal is not None
        while not self._over.is_set() and not self._terminal.ended():
            self._terminal.read_for(0.2)

    def events(self) -> list[AnyEvent]:
        return read_all(self.session)[0] if (self.session / LOG_NAME).exists() else []

    def count_lines(self, *parts: bytes) -> int:
        """Return how many lines of the log have all of these parts so far."""
        try:
            lines = (self.session / LOG_NAME).read_bytes().splitlines()
        except OSError:
            return 0
        return sum(all(part in line for part in parts) for line in lines)

    def has_blocks(self, stage: Stage) -> bool:
        """Return True once some blocks of a stage are finished."""
        own = b'"stage":"%s"' % stage.encode()
        return self.count_lines(b'"kind":"race_block"', own) >= BLOCKS_BEFORE

    def has_telemetry(self) -> bool:
        """Return True once telemetry has begun."""
        try:
            return b'"kind":"telemetry"' in (self.session / LOG_NAME).read_bytes()
        except OSError:
            return False

    def runner(self) -> psutil.Process | None:
        status = ControlClient(self.session).status()
        try:
            return psutil.Process(status.pid) if status else None
        except psutil.NoSuchProcess:
            return None

    def find(self, role: str, runner: psutil.Process) -> int | None:
        """Return the process that has `role` now."""
        if role in ("screen", "headless"):
            return self.command_pid
        if role == "runner":
            return runner.pid
        name_start = "worker" if role == "worker" else "sampler"
        try:
            for child in runner.children():
                line = child.cmdline()
                if "--name" in line and line[line.index("--name") + 1].startswith(name_start):
                    return child.pid
        except (psutil.Error, IndexError):
            pass
        return None

    def close(self) -> None:
        if self._terminal is not None:
            self._over.set()
            self._reading.join()
            self._terminal.__exit__(None, None, None)
        elif self._process.poll() is None:
            self._process.kill()


def until(seen: object, seconds: float) -> bool:
    """Wait until `seen()` is true; return False if it was not in time."""
    give_up_s = time.monotonic() + seconds
    while not seen():  # type: ignore[operator]
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.02)
    return True


def kill_one(
    role: str, after_s: float, folder: Path, model: str, iterations: int, env: dict[str, str]
) -> Fate:
    """Start a run, kill `role` that long after telemetry began, check, and resume."""
    fate = Fate(role, after_s)
    options = ["--models", model, *OPTIONS, "--iterations", str(iterations), "--warmup", "3"]
    trial = Trial(folder, ["run", *options], role, env)
    try:
        fate.check(until(trial.has_telemetry, 30), "no telemetry within 30 s")
        time.sleep(after_s)
        runner = trial.runner()
        victim = trial.find(role, runner) if runner else None
        if runner is None or victim is None:
            until(lambda: trial.runner() is None, OVER_S)
        else:
            _kill(fate, trial, runner, victim)
        _plays(fate, trial)
        _resume(fate, trial)
    finally:
        trial.close()
    return fate


def _kill(fate: Fate, trial: Trial, runner: psutil.Process, victim: int) -> None:
    family = [runner, *runner.children(recursive=True)]
    at_ns = time.perf_counter_ns()
    os.kill(victim, signal.SIGKILL)
    fate.killed = True
    if fate.role in ("runner", "headless"):
        _, alive = psutil.wait_procs(family, timeout=GONE_S)
        fate.check(not alive, f"{len(alive)} processes are left after {GONE_S:.0f} s")
    else:
        fate.check(until(lambda: trial.runner() is None, OVER_S), "the run did not end")
        psutil.wait_procs(family, timeout=GONE_S)
    logged = trial.events()
    before = [event.t_ns for event in logged if event.t_ns <= at_ns]
    fate.age_s = (at_ns - max(before)) / 1e9 if before else None
    fate.check(before and at_ns - max(before) <= LATEST_NS, "the last event is over 1 s older")
    state = fold_all(logged)
    if fate.role in ("worker", "sampler", "screen"):
        fate.check(state.ended and state.ended.reason == "done", "the run did not go on to its end")
    if fate.role == "screen":
        fate.check(not state.failed, "a cell failed with the screen")
    if fate.role == "worker":
        ok = [c for c in state.cells.values() if c.status == "ok"]
        fate.check(state.failed <= 1, "more than the worker's cell failed")
        fate.check(ok or state.failed, "no cell was measured and none failed")
    if fate.role == "sampler" and any(event.t_ns > at_ns + LATEST_NS for event in logged):
        gaps = [event for event in logged if isinstance(event, events.Gap)]
        fate.check(gaps, "the sampler's end is no gap")


def _plays(fate: Fate, trial: Trial) -> None:
    player = Player(trial.session)
    player.seek(player.duration_ns)
    problems = [line for line in player.problems.lines() if "torn" not in line]
    fate.check(not problems, f"lines rejected: {problems}")
    fate.check(fate.role == "runner" or not player.problems.torn_bytes, "a torn record")


def _resume(fate: Fate, trial: Trial) -> None:
    before = trial.events()
    code = trial.txtop("resume", "s", "--headless").wait(OVER_S)
    fate.check(code == 0, f"resume exited with {code}")
    logged, problems = read_all(trial.session)
    fate.check(logged[: len(before)] == before, "events were lost by the resume")
    fate.check(not problems.lines(), f"after the resume: {problems.lines()}")
    state = fold_all(logged)
    fate.cells = sum(cell.status == "ok" for cell in state.cells.values())
    fate.check(fate.cells == len(state.cells), "not every cell has a result")
    code = trial.txtop("verify", "s").wait(OVER_S)
    fate.check(code == 0, f"verify exited with {code}")


def kill_in_race(
    stages: Sequence[Stage], folder: Path, model: str, knobs: Sequence[str], env: dict[str, str]
) -> Fate:
    """Race `model`, and kill the runner in the middle of each of `stages`, resuming after each."""
    fate = Fate("runner", 0.0)
    before: list[AnyEvent] = []
    trial = Trial(folder, ["tune", model, *RACE, *knobs], "runner", env)
    try:
        for stage in stages:
            met = until(functools.partial(trial.has_blocks, stage), OVER_S)
            if not _kill_runner(fate, trial, met, stage):
                break
            earlier, before = before, trial.events()
            fate.check(before[: len(earlier)] == earlier, "events were lost by the resume")
            fate.check(fold_all(before).ended is None, f"the run was over in the {stage}")
            resumed = trial.txtop("resume", "s", "--headless")
            if stage == stages[-1]:
                fate.check(resumed.wait(OVER_S) == 0, "resume failed")
                logged = trial.events()
                fate.check(logged[: len(before)] == before, "events were lost by the resume")
        _check_race(fate, trial)
    finally:
        trial.close()
    return fate


def _kill_runner(fate: Fate, trial: Trial, met: bool, where: str) -> bool:
    """Kill the runner, and wait until its children are gone. Return False if there is none."""
    runner = trial.runner()
    fate.check(met and runner is not None, f"no {where} to kill the runner in")
    if runner is None:
        return False
    family = [runner, *runner.children(recursive=True)]
    os.kill(runner.pid, signal.SIGKILL)
    fate.killed = True
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    fate.check(not alive, f"{len(alive)} processes are left after {GONE_S:.0f} s")
    return True


def kill_in_search(folder: Path, model: str, knobs: Sequence[str], env: dict[str, str]) -> Fate:
    """Search what fits, and kill the runner in a probe that follows finished ones; resume."""
    fate = Fate("runner", 0.0)
    trial = Trial(folder, ["fit", model, *SEARCH, *knobs], "runner", env)
    try:
        met = until(lambda: trial.count_lines(b'"kind":"probe"') > PROBES_BEFORE, OVER_S)
        if not _kill_runner(fate, trial, met, "probe"):
            return fate
        before = trial.events()
        cut = fold_all(before)
        fate.check(cut.ended is None, "the search was over")
        fate.check(trial.txtop("resume", "s", "--headless").wait(OVER_S) == 0, "resume failed")
        logged, problems = read_all(trial.session)
        fate.check(logged[: len(before)] == before, "events were lost by the resume")
        fate.check(not problems.lines(), f"after the resume: {problems.lines()}")
        over = {name for name, own in cut.cells.items() if own.over}
        again = [e.cell for e in logged[len(before) :] if isinstance(e, events.CellStarted)]
        fate.check(len(over) >= PROBES_BEFORE, "no probe was finished")
        fate.check(not over & set(again), "a finished probe was run again")
        state = fold_all(logged)
        fate.cells = len(state.cells)
        sizes = [own.cell.batch_size for own in state.cells.values()]
        fate.check(len(sizes) == len(set(sizes)), "a size was tried twice")
        (edge,) = find_edges(state)
        fate.check(edge.is_found, "the edge was not found")
        fate.edge = (edge.bracket.ran, edge.bracket.failed or 0)
        fate.check(trial.txtop("verify", "s").wait(OVER_S) == 0, "verify failed")
    finally:
        trial.close()
    return fate


def _check_race(fate: Fate, trial: Trial) -> None:
    logged, problems = read_all(trial.session)
    fate.check(not problems.lines(), f"after the resume: {problems.lines()}")
    state = fold_all(logged)
    fate.cells = sum(cell.status == "ok" for cell in state.cells.values())
    fate.check(state.ended and state.ended.reason == "done", "the race did not end")
    kept = [e for e in logged if isinstance(e, events.RaceBlock) and e.kept]
    dealt = [(e.stage, e.round, *sorted(e.iterations)) for e in kept]
    fate.check(len(dealt) == len(set(dealt)), "a finished block was measured again")
    calls = [(name, i) for e in kept for name, places in e.iterations.items() for i in places]
    fate.check(len(calls) == len(set(calls)), "a call counts in two blocks")
    result = find_result(state)
    cell = result.winner.cell if result else None
    fate.winner = (cell.precision, cell.batch_size) if cell else None
    code = trial.txtop("verify", "s").wait(OVER_S)
    fate.check(code == 0, f"verify exited with {code}")


def fates(
    runs: int, seed: int, model: str, iterations: int, longest_s: float, env: dict[str, str]
) -> Iterator[Fate]:
    """Run as many trials, the roles in turn, each moment drawn from `seed`."""
    draw = random.Random(seed)
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="txtop-kills-") as folder:
            role = ROLES[number % len(ROLES)]
            after_s = draw.uniform(0, longest_s)
            yield kill_one(role, after_s, Path(folder), model, iterations, env)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.runs} runs", flush=True)
    killed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    oldest_s = 0.0
    with tempfile.TemporaryDirectory(prefix="txtop-tiny-") as folder:
        model = str(tiny_models.gpt2(Path(folder) / "gpt2"))
        trials = fates(options.runs, options.seed, model, 150, 7.0, {})
        for number, fate in enumerate(trials, start=1):
            print(f"{number:>4} {fate}", flush=True)
            killed[fate.role] += fate.killed
            wrong[fate.role] += bool(fate.wrong)
            oldest_s = max(oldest_s, fate.age_s or 0.0)
    for role in ROLES:
        print(f"{role:<9} killed {killed[role]}, did not hold {wrong[role]}")
    print(f"oldest last event {oldest_s:.2f} s")
    return 1 if sum(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
