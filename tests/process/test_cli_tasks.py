"""Tasks and prompts of files by the command line: an A/B, a server, a race, a gate, and kills."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from support import kills, tiny_models
from support.command_line import txtop
from support.waiting import WAIT_S
from support.warm_workers import build_warm_environment
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.reader import read_all
from txtop.state import accuracy
from txtop.state.fold import fold_all

ITEMS = 2400
"""Enough to be killed among them on a busy machine, too: of 600 the last came in 0.1 s."""
LINES = [f"w{n} " * (n % 5 + 1) for n in range(10, 22)]
SMALL = ("--warmup", "1", "--fidelity-positions", "0")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a decoder that gives `b` a little more than `a`, which is lost in bf16."""
    directory = tiny_models.add_tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    return prefer_b(directory, 2**-10)


def prefer_b(directory: Path, by: float) -> Path:
    """Make all hidden states 1, and the row of `b` in the head `by` larger than that of `a`."""
    tensors = load_file(directory / "model.safetensors")
    tensors["transformer.ln_f.weight"][:] = 0
    tensors["transformer.ln_f.bias"][:] = 1
    first = 5 + tiny_models.CHARACTERS.index("a")
    tensors["transformer.wte.weight"][first : first + 2] = np.float32([[0.5], [0.5 + by]])
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "quiz.jsonl", 120)


def write_task(file: Path, count: int) -> Path:
    items = [
        {"question": f"{n} is", "choices": ["a", "b"], "answer": int(n % 4 > 0)}
        for n in range(count)
    ]
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return file


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"{line.strip()}\n" for line in LINES), encoding="utf-8")
    return file


def run(folder: Path, *command: str) -> tuple[int, str, list[AnyEvent]]:
    """Run a command into the session `s`; return exit code, output and events."""
    where = ("--session-dir", str(folder), "--name", "s")
    done = txtop(*command, *where, "--headless", timeout=120, **build_warm_environment())
    assert (folder / "s" / "events.jsonl").is_file(), done.stderr
    return done.returncode, done.stdout, read_all(folder / "s")[0]


@pytest.mark.slow
def test_both_arms_of_an_ab_take_the_prompts_in_turn(tmp_path: Path, prompts: Path) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "m"))
    code, printed, logged = run(
        tmp_path, "ab", str(model), "--prompts", str(prompts), "--new-tokens", "3",
        "--a", "precision=fp32", "--b", "attention=eager", "--blocks", "2", *SMALL,
    )  # fmt: skip
    assert code == 3 and "prompts.txt" in printed
    sha256 = hashlib.sha256(prompts.read_bytes()).hexdigest()
    cells = fold_all(logged).plan.cells
    assert [cell.prompts.sha256 for cell in cells if cell.prompts] == [sha256] * 2
    assert len({e.inputs_sha256 for e in logged if isinstance(e, events.Workload)}) == 1
    # A word is a token, and a start of the text comes before.
    lengths = sorted(len(line.split()) + 1 for line in LINES)
    for arm in ("A", "B"):
        measured = [
            e.prompt_tokens
            for e in logged
            if isinstance(e, events.Iteration) and e.cell == arm and e.role == "measured"
        ]
        assert sorted(measured[: len(LINES)]) == lengths


def test_a_dynamic_server_answers_each_prompt_once(tmp_path: Path, prompts: Path) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "m"))
    code, _, logged = run(
        tmp_path, "run", "--models", str(model), "--prompts", str(prompts), "--new-tokens", "3",
        "--scenario", "dynamic", "--concurrency", "3", "--requests", str(len(LINES)), *SMALL,
    )  # fmt: skip
    asked = [e for e in logged if isinstance(e, events.Request) and e.role == "measured"]
    assert code == 0
    assert sorted(e.index for e in asked) == list(range(len(LINES)))
    assert sorted(e.prompt_tokens for e in asked) == sorted(len(x.split()) + 1 for x in LINES)
    assert all(e.tokens == 3 and e.computed >= e.prompt_tokens + 3 for e in asked)


def test_a_race_names_none_that_loses_more_points_than_allowed(
    tmp_path: Path, model: Path, task: Path
) -> None:
    code, printed, logged = run(
        tmp_path, "tune", str(model), "--task", str(task), "--min-accuracy", "-1pt",
        "--space", "precisions=fp32,bf16 batch-sizes=1", "--threads", "1", "--budget", "3",
        "--sequence-length", "8", "--new-tokens", "4", "--device", "cpu", "--floor", "none",
    )  # fmt: skip
    assert code == 0
    assert "fp32 (today's default)" in printed and "the only one left" in printed
    assert "limited by quality: bf16 (quiz: ✗ −50.0 pt" in printed
    state = fold_all(logged)
    timed = {cell.cell.precision for cell in state.cells.values() if cell.samples}
    assert timed == {"fp32"}


@pytest.mark.slow
def test_a_loss_of_accuracy_between_two_sessions_is_an_exit_code(
    tmp_path: Path, model: Path, task: Path
) -> None:
    for name, by in (("base", 2**-10), ("new", 0.0)):
        prefer_b(model, by)
        code, _, _ = run(
            tmp_path / name, "run", "--models", str(model), "--task", str(task),
            "--sequence-lengths", "8", "--new-tokens", "4", "--iterations", "5", *SMALL,
        )  # fmt: skip
        assert code == 0
    base, new = (str(tmp_path / name / "s") for name in ("base", "new"))

    def compare(*sides: str) -> tuple[int, str]:
        done = txtop("compare", *sides, "--min-accuracy", "-1pt")
        return done.returncode, done.stdout

    code, printed = compare(base, new)
    assert code == 1 and "−50.0" in printed and "accuracy at least −1.0 pt" in printed
    code, printed = compare(new, base)
    assert code != 1 and "+50.0" in printed and "no worse" in printed
    # No item differs, which 120 items do not decide to a point.
    code, printed = compare(base, base)
    assert code == 3 and "undecided: about 299 items decide 1 pt" in printed


def kill_runner(trial: kills.Trial) -> list[AnyEvent]:
    """Kill the runner, wait for its children, and return what was logged."""
    runner = trial.runner()
    assert runner is not None
    family = [runner, *runner.children(recursive=True)]
    os.kill(runner.pid, signal.SIGKILL)
    assert not psutil.wait_procs(family, timeout=kills.GONE_S)[1]
    return trial.events()


def test_after_two_kills_nothing_is_measured_or_answered_twice(
    tmp_path: Path, model: Path, prompts: Path
) -> None:
    """The runner dies in the second cell's iterations, then in the second one's answers."""
    task = write_task(tmp_path / "quiz.jsonl", ITEMS)
    command = ["run", "--models", str(model), "--prompts", str(prompts), "--task", str(task)]
    command += ["--precisions", "fp32", "bf16", "--iterations", "60", "--new-tokens", "8", *SMALL]
    env = build_warm_environment()
    trial = kills.Trial(tmp_path / "sessions", command, "runner", env)
    own = b'"cell":"c002"'
    try:
        assert kills.until(lambda: trial.count_lines(b'"kind":"iteration"', own) >= 10, 60)
        first = kill_runner(trial)
        resumed = trial.txtop("resume", "s", "--headless")
        assert kills.until(lambda: trial.count_lines(b'"kind":"answers"', own) >= 1, 60)
        second = kill_runner(trial)
        resumed = trial.txtop("resume", "s", "--headless")
        assert resumed.wait(WAIT_S) == 0
    finally:
        trial.close()
    logged = trial.events()
    # Nothing is lost.
    assert second[: len(first)] == first and logged[: len(second)] == second
    cut, state = fold_all(second), fold_all(logged)
    assert len(fold_all(first).cells["c001"].samples) == len(state.cells["c001"].samples)
    # Nothing is measured or answered again that was over.
    started = [e.cell for e in logged if isinstance(e, events.CellStarted)]
    assert started == ["c001", "c002", "c002"]
    assert [len(cell.samples.kept()) for cell in state.cells.values()] == [60, 60]
    ended = [e.cell for e in logged if isinstance(e, events.TaskAnswered)]
    assert ended == ["c001", "c002"]
    assert sum(len(e.lines) for e in logged if isinstance(e, events.TaskQuestions)) == ITEMS
    # The same inputs, and what had been answered is answered the same.
    assert len({e.inputs_sha256 for e in logged if isinstance(e, events.Workload)}) == 1
    spec = state.plan.tasks[0]
    assert spec.sha256 == hashlib.sha256(task.read_bytes()).hexdigest()
    for name in ("c001", "c002"):
        before, after = (accuracy.find_score(s, name, spec) for s in (cut, state))
        assert before is not None and after is not None and after.n == ITEMS
        assert before.n == ITEMS if name == "c001" else 0 < before.n < ITEMS
        assert after.answers[: before.n] == before.answers
    assert [e.reason for e in logged if isinstance(e, events.SessionEnded)] == ["done"]
