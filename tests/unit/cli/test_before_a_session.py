"""Refusals before a session begins: a name that is taken, a device that is not here, an option."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.cli.app import run_command_line
from txtop.plan.option_names import ONE_VALUE_COMMANDS
from txtop.system import torch_build

MEASURING = ("run", *ONE_VALUE_COMMANDS)
REFUSED = {
    "fit": ("--parallel", "--prompts", "--chat-template", "--prefix-cache"),
    "explain": ("--parallel", "--speculative", "--prefix-cache"),
    "ab": ("--prefix-cache",),
    "tune": ("--prefix-cache",),
}
"""Options that these commands refuse whatever stands beside them, and so do not offer."""


def refuse(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return why a command is refused, which leaves no session behind."""
    before = set(folder.iterdir())
    assert run_command_line([*arguments, "--headless", "--session-dir", str(folder)]) == 2
    assert set(folder.iterdir()) == before
    return capsys.readouterr().err


@pytest.mark.parametrize("command", MEASURING)
def test_a_device_that_is_not_here(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    model = ["gpt2"] if command != "run" else []
    error = refuse([command, *model, "--device", "cuda"], tmp_path, capsys)
    assert "no cuda device: torch is built without CUDA: --device cpu" in error
    assert len(error.splitlines()) == 1


def test_a_plan_for_another_machine_is_saved_and_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    saved = tmp_path / "saved.toml"
    assert run_command_line(["run", "--device", "cuda", "--save-plan", str(saved)]) == 0
    assert run_command_line(["run", "--plan", str(saved), "--dry-run"]) == 2
    assert "no cuda device" in capsys.readouterr().err


@pytest.mark.parametrize("command", MEASURING)
@pytest.mark.parametrize("taken", ["night", "night.jsonl"])
def test_a_name_that_is_taken_is_noticed_first(
    command: str, taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / taken).mkdir()
    model = ["/nowhere/model"] if command != "run" else ["--models", "/nowhere/model"]
    error = refuse([command, *model, "--name", "night"], tmp_path, capsys)
    assert error == "txtop: a session 'night' exists already: choose another name\n"
    assert "cannot name a session" in refuse([command, *model, "--name", "a/b"], tmp_path, capsys)


def test_the_name_of_a_trial_is_noticed_before_its_explanation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "night-try").mkdir()
    error = refuse(["explain", "gpt2", "--try", "--name", "night"], tmp_path, capsys)
    assert "'night-try' exists already" in error


@pytest.mark.parametrize("command", REFUSED)
def test_what_a_command_refuses_is_not_in_its_help(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    values = {
        "--parallel": "tp=2",
        "--prompts": str(prompts),
        "--chat-template": "off",
        "--prefix-cache": "on",
        "--speculative": "prompt-lookup:4",
    }
    assert run_command_line([command, "--help"]) == 0
    page = capsys.readouterr().out
    for option, value in values.items():
        is_refused = option in REFUSED[command]
        assert (f"│ {option} " in page) is not is_refused, option
        if is_refused:
            assert "Unknown" not in refuse([command, "gpt2", option, value], tmp_path, capsys)
