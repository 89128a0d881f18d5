"""`txtop ab` and `selftest --aa` as processes, with tiny real models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from support import tiny_models
from support.command_line import TXTOP, txtop
from support.waiting import wait_until
from support.warm_workers import build_warm_environment
from txtop.protocol.events import ABBlock, AnyEvent
from txtop.selftest import identical_arms
from txtop.session.reader import read_all
from txtop.session.verify import verify_log
from txtop.state.fold import fold_all

SHORT = ("--headless", "--sequence-length", "8", "--new-tokens", "4", "--warmup", "1")


def ab(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run one A/B in plain lines and return it with its export."""
    out = tmp_path / "out.json"
    folder = ("--session-dir", str(tmp_path / "s"), "--name", "ab", "--json", str(out))
    done = txtop("ab", *arguments, *SHORT, *folder, timeout=120, **build_warm_environment())
    return done, json.loads(out.read_bytes())


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ab", "MODEL"),
        ("ab gpt2 --a precision=bf17", "did you mean bf16"),
        ("ab gpt2 --a precison=bf16", "did you mean precision"),
        ("ab gpt2 --a precision=bf16", "nothing to be compared with"),
        ("ab gpt2 --a model=bert-base-uncased --b precision=fp32", "makes tokens"),
        ("ab gpt2 --batch-size 0", "--batch-size 0"),
        ("ab gpt2 --margin 200%", "--margin"),
        ("ab gpt2 --blocks 3 --budget 10", "contradict"),
        ("ab gpt2 --mragin 2%", "--margin"),
    ],
)
def test_a_wrong_word_exits_2_and_names_the_right_one(line: str, message: str) -> None:
    done = txtop(*line.split())
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_ab_says_who_is_faster_by_how_much_and_at_what_cost(tmp_path: Path) -> None:
    small, large = tiny_models.gpt2(tmp_path / "m"), tiny_models.gpt2(tmp_path / "l", layers=8)
    done, exported = ab(tmp_path, str(small), "--a", "precision=fp32", "--b", f"model={large}",
                     "--fidelity-positions", "200")  # fmt: skip
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[3]
    assert first.startswith("A is ") and "x as fast as B  [" in first
    assert "95 %, holds however often you check" in first and "output: another model" in first
    (comparison,) = exported["comparisons"]
    assert comparison["verdict"] == "slower" and comparison["won"] <= 1
    assert comparison["blocks"] >= 10 and 0 < comparison["ratio"] < 1
    assert comparison["ci95"][0] < comparison["ratio"] < comparison["ci95"][1] < 1
    assert comparison["wilcoxon_p"] < 0.05 and comparison["metric"] == "e2e_ms"
    assert exported["session"]["margin"] == 0.02
    again = txtop("show", "ab", "--session-dir", str(tmp_path / "s"))
    assert again.stdout == done.stdout
    other = txtop("export", "ab", "--session-dir", str(tmp_path / "s"))
    assert other.stdout.encode() == (tmp_path / "out.json").read_bytes()
    assert verify_log(tmp_path / "s" / "ab").wrong_count == 0


@pytest.mark.slow
def test_identical_arms_have_no_winner(tmp_path: Path) -> None:
    model = str(tiny_models.gpt2(tmp_path / "m"))
    done, exported = ab(tmp_path, model, "--a", "precision=fp32", "--b", "precision=fp32",
                     "--budget", "6", "--margin", "10%")  # fmt: skip
    (comparison,) = exported["comparisons"]
    assert comparison["verdict"] in ("equivalent", "inconclusive")
    assert done.returncode == (0 if comparison["verdict"] == "equivalent" else 3)
    fidelity = comparison["fidelity"]
    assert fidelity["badge"] == "lossless-like" and fidelity["kld"] is None
    assert fidelity["kld_floor"] == 1e-6 and fidelity["top1"] == 1


@pytest.mark.slow
def test_no_speed_is_claimed_for_an_arm_that_makes_nan(tmp_path: Path) -> None:
    model = tiny_models.gpt2(tmp_path / "m")
    tensors = load_file(model / "model.safetensors")
    sick = tmp_path / "sick"
    sick.mkdir()
    (sick / "config.json").write_bytes((model / "config.json").read_bytes())
    tensors["transformer.ln_f.weight"][0] = np.nan
    save_file(tensors, sick / "model.safetensors", metadata={"format": "pt"})
    for positions in ("2048", "0"):
        done, exported = ab(tmp_path / positions, str(model), "--a", "precision=fp32", "--b",
                         f"model={sick}", "--fidelity-positions", positions)  # fmt: skip
        (comparison,) = exported["comparisons"]
        assert done.returncode == 1 and "INVALID" in done.stdout and "faster" not in done.stdout
        assert comparison["ratio"] is comparison["verdict"] is comparison["ci95"] is None
        assert exported["cells"][1]["invalid"] is True


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("2048", "0"):
        (tmp_path / name).mkdir()


@pytest.mark.slow
@pytest.mark.fault(4)
def test_a_worker_that_is_killed_in_the_middle_is_replaced(tmp_path: Path) -> None:
    model = tiny_models.gpt2(tmp_path / "m", layers=8)
    run = subprocess.Popen(
        [*TXTOP, "ab", str(model), "--a", "precision=fp32", "--b", "attention=eager",
         "--blocks", "16", "--fidelity-positions", "0", *SHORT,
         "--session-dir", str(tmp_path / "s"), "--name", "ab"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    log = tmp_path / "s" / "ab" / "events.jsonl"
    wait_until(lambda: log.exists() and len(_rounds(read_all(log.parent)[0])) >= 3)
    workers = [
        process
        for process in psutil.Process(run.pid).children(recursive=True)
        if "txtop.worker" in " ".join(process.cmdline())
    ]
    assert len(workers) == 2
    os.kill(workers[1].pid, signal.SIGKILL)
    out, err = run.communicate(timeout=90)
    assert run.returncode in (0, 3), err
    state = fold_all(read_all(tmp_path / "s" / "ab")[0])
    assert state.ab_test is not None and state.ab_test.kept_blocks == 16
    lost = [block for block in state.ab_test.blocks if not block.kept]
    assert len(lost) == 1 and "SIGKILL" in lost[0].reasons[0]
    assert state.ab_test.verdict("B", over=True) is not None
    assert "the worker killed by SIGKILL" in out
    assert [cell.status for cell in state.cells.values()] == ["ok", "ok"]


def _rounds(stream: list[AnyEvent]) -> list[ABBlock]:
    return [event for event in stream if isinstance(event, ABBlock)]


def test_in_a_run_each_precision_has_its_badge_beside_its_speed(tmp_path: Path) -> None:
    model = tiny_models.gpt2(tmp_path / "m", layers=1)
    done = txtop(
        "run", "--models", str(model), "--precisions", "bf16", "fp32", "--batch-sizes", "1", "2",
        "--sequence-lengths", "8", "--new-tokens", "4", "--iterations", "3", "--warmup", "1",
        "--headless", "--session-dir", str(tmp_path / "s"), "--name", "r",
        "--json", str(tmp_path / "out.json"), **build_warm_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("bf16", "fp32"))]
    heading = next(line for line in done.stdout.splitlines() if line.startswith("prec"))
    assert "speed" in heading and "output" in heading
    badges = ("✓ lossless-like", "≈ minor", "▲ visible")
    assert len([line for line in lines if "x  " in line and any(b in line for b in badges)]) == 2
    # One in each cell of the reference, and one in the table of outputs.
    assert len([line for line in lines if "reference" in line]) == 3
    exported = json.loads((tmp_path / "out.json").read_bytes())
    by_cell = {(c["precision"], c["batch_size"]): c["fidelity"] for c in exported["cells"]}
    assert by_cell["fp32", 1] is None
    assert by_cell["bf16", 1] == by_cell["bf16", 2] and by_cell["bf16", 1]["positions"] >= 2048


@pytest.mark.slow
def test_the_self_test_counts_winners(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [
        identical_arms.SessionOutcome("", winner=i < 2, excludes_one=i < 3) for i in range(40)
    ]
    assert identical_arms.IdenticalArmsResult(tuple(outcomes)).passed
    assert not identical_arms.IdenticalArmsResult(tuple(outcomes[:20])).passed
    lines: list[str] = []
    monkeypatch.setattr(identical_arms, "BUDGET_S", 1.5)
    result = identical_arms.run(sessions=1, say=lines.append)
    assert len(result.outcomes) == 1 and "of 1 sessions of identical arms" in lines[-1]
    assert result.exit_code == (1 if result.winners else 0)
