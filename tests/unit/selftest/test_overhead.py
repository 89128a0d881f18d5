"""The verdict of the overhead check, on simulated pairs, and how it leaves the machine."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from support.gpu import has_gpu
from support.paths import ROOT
from support.waiting import WAIT_S, wait_until
from support.warm_workers import build_warm_command, build_warm_environment
from txtop.errors import RunError, UsageError
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.selftest import overhead
from txtop.selftest.alternation import compare_loops
from txtop.selftest.bare_arm import BareArm, build_bare_command
from txtop.selftest.overhead import build_core_warning, pin_to_core
from txtop.selftest.process_tree import ProcessTree
from txtop.selftest.time_slices import select_gaps
from txtop.selftest.verdict import (
    ArmTiming,
    OverheadResult,
    TimingPair,
    compute_arm_timing,
    judge_pairs,
)

PLAIN: dict[str, Any] = {"models": ["gpt2"], "weights": "random"}


def _result(mean: float, p99: float, noise: float, n: int = 20, seed: int = 0) -> OverheadResult:
    random = np.random.default_rng(seed)
    spread = random.normal(0, noise, n)
    spread -= spread.mean()
    pairs = [
        TimingPair(
            ArmTiming(3.0, 4.0),
            ArmTiming(3.0 * mean * float(np.exp(x)), 4.0 * p99 * float(np.exp(2 * x))),
        )
        for x in spread
    ]
    return judge_pairs(pairs, 0.01)


@pytest.mark.parametrize(
    ("mean", "p99", "noise", "outcome"),
    [
        (1.00, 1.00, 0.02, "pass"),
        (1.009, 1.00, 0.01, "pass"),
        (0.991, 0.95, 0.01, "pass"),
        (1.00, 1.06, 0.02, "pass"),
        (1.00, 1.10, 0.02, "fail"),
        (1.013, 1.00, 0.02, "fail"),
        (0.985, 1.00, 0.02, "fail"),
        (1.00, 1.00, 0.20, "inconclusive"),
        (1.05, 1.00, 0.20, "inconclusive"),
        (1.84, 10.0, 0.20, "fail"),
    ],
)
def test_the_verdict(mean: float, p99: float, noise: float, outcome: str) -> None:
    result = _result(mean, p99, noise)
    assert result.outcome == outcome
    assert result.passed == (outcome == "pass")
    assert result.exit_code == {"pass": 0, "fail": 1, "inconclusive": 3}[outcome]
    assert result.format_lines()[-1].startswith(outcome)


def test_tpot_is_the_mean_gap_and_p99_is_of_all_gaps() -> None:
    gaps = [1_000_000] * 98 + [2_000_000] * 2 + [3_000_000] * 100
    arm = compute_arm_timing(gaps)
    assert arm.tpot_ms == pytest.approx(2.01)
    assert arm.p99_ms == pytest.approx(np.percentile(gaps, 99) / 1e6)


def test_only_gaps_that_lie_wholly_inside_a_window_count() -> None:
    calls = [[100, 110, 121, 133], [150, 160, 500, 511], [523, 536]]
    assert select_gaps(calls, [(105, 130), (155, 160), (500, 530)]) == [11, 11]
    assert select_gaps(calls, [(0, 1000)]) == [10, 11, 12, 10, 340, 11, 13]


@dataclass
class Simulated:
    """An arm on a machine that slows down by 1 % a turn; its start made it `luck` times slower."""

    name: str
    clock: itertools.count[int]
    order: list[str]
    random: np.random.Generator
    slower: float = 1.0
    noise: float = 0.01
    luck: float = 1.0
    waiting: list[int] = field(default_factory=list)

    def run_for(self, seconds: float) -> None:
        self.order.append(self.name)
        drift = 1 + 0.01 * next(self.clock)
        noise = np.exp(self.random.normal(0, self.noise, 20))
        self.waiting += [int(3e6 * self.slower * self.luck * drift * x) for x in noise]

    def take_gaps(self) -> list[int]:
        gaps, self.waiting = self.waiting, []
        return gaps


def _simulate(
    slower: float, noise: float = 0.01, luck: float = 0.0, half_width: float = 0.01
) -> tuple[OverheadResult, list[str], list[str]]:
    clock, order = itertools.count(), list[str]()
    lines: list[str] = []
    random = np.random.default_rng(5)

    @contextmanager
    def start() -> Iterator[tuple[Simulated, Simulated]]:
        order.append("start")
        lucks = np.exp(random.normal(0, luck, 2))
        yield (
            Simulated("b", clock, order, random, 1.0, noise, lucks[0]),
            Simulated("w", clock, order, random, slower, noise, lucks[1]),
        )
        order.append("end")

    result = compare_loops(
        start, min_pairs=10, max_pairs=30, half_width=half_width, say=lines.append, turns=4
    )
    return result, order, lines


def test_both_arms_start_anew_for_each_pair_and_take_turns() -> None:
    result, order, lines = _simulate(1.0)
    assert order[:10] == ["start", *"bwwbbwwb", "end"]
    assert order.count("start") == order.count("end") == len(result.pairs) == len(lines) == 10
    assert lines[0].startswith("start  1  TPOT bare ")


def test_drift_cancels() -> None:
    result, _, _ = _simulate(1.0)
    assert result.passed
    assert result.mean.ratio == pytest.approx(1.0, abs=0.003)


def test_the_luck_of_a_start_widens_the_interval() -> None:
    """Starts vary by 0.5 % in each arm; turns within one start agree to 0.1 %, which must not
    count.
    """
    result, _, _ = _simulate(1.0, noise=0.001, luck=0.005)
    expected = 2.262 * 0.005 * 2**0.5 / 10**0.5
    assert result.mean.half_width == pytest.approx(expected, rel=0.6)
    assert result.mean.ci95[0] < 1 < result.mean.ci95[1]


def test_a_slower_arm_fails() -> None:
    assert _simulate(1.04)[0].outcome == "fail"


def test_too_much_noise_ends_inconclusive_after_30_pairs() -> None:
    result, _, lines = _simulate(1.0, luck=0.2)
    assert result.exit_code == 3
    assert len(lines) == 30


def test_no_free_core_is_said_in_one_line() -> None:
    assert build_core_warning(1, 2) is None
    warning = build_core_warning(1, 1)
    assert warning is not None and "\n" not in warning


def test_every_thread_of_a_pinned_process_stays_on_one_core() -> None:
    code = (
        "import sys, threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    core = max(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None and process.stdout.readline()
        pin_to_core(process.pid, core)
        threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
        affinities = [os.sched_getaffinity(thread) for thread in threads]
        process.communicate(b"", timeout=WAIT_S)
    assert len(threads) == 2 and affinities == [{core}, {core}]


def test_a_tree_is_stopped_continued_and_killed_with_its_children() -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); sys.stdin.read()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    tree = ProcessTree(parent.pid)
    try:
        process = psutil.Process(parent.pid)
        members = [process, *wait_until(process.children)]
        tree.stop()
        assert [p.status() for p in members] == [psutil.STATUS_STOPPED] * 2
        tree.resume()
        assert all(p.status() != psutil.STATUS_STOPPED for p in members)
        tree.stop()
    finally:
        tree.kill()
        parent.wait()
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in members)


def test_the_bare_loop_shares_no_code_with_the_rest(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"vocab_size": 96, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2})
    )
    look = tmp_path / "look.py"
    # A warm process has imported txtop: what the loop needs of it would be imported again.
    look.write_text(
        "import os, runpy, sys\n"
        "end, os._exit = os._exit, lambda code: None\n"
        "mine = lambda: [m for m in sys.modules if m.split('.')[0] == 'txtop']\n"
        "for name in mine(): del sys.modules[name]\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
        "print(mine(), file=sys.stderr)\n"
        "end(0)\n"
    )
    module, *arguments = build_bare_command(config, sequence_length=8, new_tokens=5, threads=1)[3:]
    path = ROOT / (module.replace(".", "/") + ".py")
    with subprocess.Popen(
        [*build_warm_command(look), str(path), *arguments], stdout=subprocess.PIPE, stderr=-1
    ) as bare:
        assert bare.stdout is not None and bare.stderr is not None
        calls = [json.loads(bare.stdout.readline())["at_ns"] for _ in range(2)]
        bare.stdout.close()
        modules = bare.stderr.read().decode().splitlines()[-1]
    assert [len(at_ns) for at_ns in calls] == [5, 5]
    assert sorted(calls[0]) == calls[0] and calls[0][-1] < calls[1][0]
    assert modules == "[]"


@pytest.mark.parametrize(
    ("device", "entry", "reason"),
    [
        ("cuda", '{"capability":"cuda","state":"ok","detail":"Fake H100"}', ""),
        ("cuda:1", '{"capability":"cuda","state":"ok","detail":"Fake H100"}', ""),
        (
            "cuda",
            '{"capability":"cuda","state":"missing","detail":"this torch is for the CPU"}',
            "no cuda device: this torch is for the CPU",
        ),
        (
            "cuda",
            '{"capability":"torch","state":"broken","detail":"no torch"}',
            "no cuda device: torch knows none",
        ),
        ("cuda", "Segmentation fault", "no cuda device: the worker does not answer"),
    ],
)
def test_a_device_that_torch_does_not_see_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, device: str, entry: str, reason: str
) -> None:
    command = [sys.executable, "-c", "import sys; print(sys.argv[1])", entry]
    monkeypatch.setattr(overhead, "build_probe_command", lambda _module: command)
    if not reason:
        return overhead.require_device(device)
    lines: list[str] = []
    with pytest.raises(UsageError) as refused:
        overhead.run(device=device, say=lines.append)
    assert refused.value.cause == reason and not lines
    return None


def test_on_the_processor_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(overhead, "build_probe_command")
    overhead.require_device("cpu")


def test_both_arms_are_asked_for_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watched arm's words are those of `run`, the bare arm's those of the loop."""
    monkeypatch.setattr("txtop.options.feasibility.explain_missing_compiler", lambda _kind: None)
    graphs: dict[str, Any] = {"device": "cuda", "compile_mode": "reduce-overhead"}
    bare = build_bare_command(tmp_path, sequence_length=8, new_tokens=4, threads=1, **graphs)
    watched = overhead.build_watched_arguments(tmp_path, **graphs)
    for command in (bare, watched):
        assert command[command.index("--device") + 1] == "cuda"
        assert command[command.index("--compile") + 1] == "reduce-overhead"
    assert watched[watched.index("--cache") + 1] == "static"
    plain = overhead.build_watched_arguments(tmp_path)
    assert "--compile" not in plain and plain[plain.index("--device") + 1] == "cpu"
    cells = build_plan(RunOptions(**{**PLAIN, "device": "cuda", "compile": ["reduce-overhead"],
                                     "cache": ["static"]})).cells  # fmt: skip
    assert [(c.device, c.compile, c.cache) for c in cells] == [
        ("cuda", "reduce-overhead", "static")
    ]


def warm(command: list[str]) -> list[str]:
    """Return the command of a bare loop that need not import torch."""
    return [*build_warm_command(ROOT / "txtop" / "worker" / "baseline.py"), *command[4:]]


@pytest.mark.parametrize("compile_mode", ["none", pytest.param("default", marks=pytest.mark.slow)])
def test_the_bare_loop_runs_eager_and_compiled(tmp_path: Path, compile_mode: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"vocab_size": 96, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2})
    )
    command = build_bare_command(
        config, sequence_length=8, new_tokens=5, threads=1, compile_mode=compile_mode
    )
    if compile_mode == "none":
        command = warm(command)
    arm = BareArm(command, tmp_path / "log")
    try:
        arm.wait_loaded(300.0)
        arm.run_for(0.5)
        assert len(arm.take_gaps()) >= 4
    finally:
        arm.close()


def test_a_bare_loop_without_its_device_says_so(tmp_path: Path) -> None:
    if has_gpu():
        pytest.skip("there is a device")
    config = tmp_path / "config.json"
    config.write_text("{}")
    command = build_bare_command(config, sequence_length=8, new_tokens=5, threads=1, device="cuda")
    command = warm(command)
    arm = BareArm(command, tmp_path / "log")
    try:
        with pytest.raises(RunError, match="ended: no cuda device: torch finds none"):
            arm.wait_loaded()
    finally:
        arm.close()


def test_a_bare_loop_that_dies_says_why(tmp_path: Path) -> None:
    arm = BareArm([sys.executable, "-c", "raise SystemExit('no such model')"], tmp_path / "log")
    try:
        with pytest.raises(Exception, match="no such model"):
            arm.wait_loaded()
    finally:
        arm.close()


def test_a_check_that_is_ended_leaves_no_process_behind(tmp_path: Path) -> None:
    code = (
        "from txtop.selftest import overhead\n"
        "build = overhead.build_bare_command\n"
        f"warm = {warm([])!r}\n"
        "overhead.build_bare_command = lambda *given, **how: [*warm, *build(*given, **how)[4:]]\n"
        "overhead.run(say=print)\n"
    )
    check = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path), **build_warm_environment()},
        start_new_session=True,
    )
    process = psutil.Process(check.pid)
    wait_until(lambda: len(process.children(recursive=True)) >= 5)
    family = process.children(recursive=True)
    assert psutil.STATUS_STOPPED in [p.status() for p in family], "the bare loop waits its turn"
    check.terminate()
    assert check.wait(WAIT_S) == 128 + signal.SIGTERM
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not list(tmp_path.glob("txtop-selftest-*"))
