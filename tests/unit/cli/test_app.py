"""The signatures of all commands."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from txtop.__main__ import main
from txtop.cli import report
from txtop.cli.app import app, run_command_line
from txtop.errors import did_you_mean

MOST_PARAMETERS = 12


def commands(parent: App, name: str = "txtop") -> Iterator[tuple[str, App]]:
    """Yield every command with its full name, subcommands included."""
    yield name, parent
    for child in parent:
        if not child.startswith("-"):
            yield from commands(parent[child], f"{name} {child}")


COMMANDS = {name: command.default_command for name, command in commands(app)}


def test_all_commands_are_walked() -> None:
    assert {"txtop", "txtop run", "txtop completion", "txtop sessions rename"} <= COMMANDS.keys()
    assert None not in COMMANDS.values()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_groups_its_options_in_dataclasses(name: str) -> None:
    command = COMMANDS[name]
    assert command is not None
    assert len(inspect.signature(command).parameters) <= MOST_PARAMETERS


@pytest.mark.parametrize(
    ("word", "near"),
    [("--starts", ""), ("--rate", ""), ("--precison", "--precision"), ("--tasks", "--task")],
)
def test_a_word_that_is_near_to_nothing_has_no_suggestion(word: str, near: str) -> None:
    names = ["--name", "--task", "--precision", "--space", "--budget", "--weights"]
    hint = did_you_mean(word, names, "txtop tune --help lists what it takes")
    assert hint == (f"did you mean {near}?" if near else "txtop tune --help lists what it takes")


def test_a_report_without_matplotlib_is_one_line_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda _name: None)
    assert run_command_line(["report", "gpt2-precisions"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "txtop: a report draws with matplotlib: pip install 'txtop[report]'"
    ]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["run", "--models", "gpt2", "--task", ""], "--task"),
        (["run", "--models", "gpt2", "--task="], "--task"),
        (["run", "--models", "gpt2", ""], "--models"),
        (["run", "--plan", ""], "--plan"),
        (["sessions", "--session-dir", ""], "--session-dir"),
        (["export", "gpt2-precisions", "--output", ""], "--output"),
        (["show", ""], "an argument"),
    ],
)
def test_an_empty_argument_is_not_taken_for_this_folder(
    arguments: list[str], where: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["txtop", *arguments])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"txtop: {where} is empty: ")


@pytest.mark.parametrize("arguments", [["sessions"], ["show", "smollm2-int8"], ["show", "nothing"]])
def test_a_plain_command_prints_what_the_parser_would(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["txtop", *arguments])
    plain = main(), capsys.readouterr()
    assert (run_command_line(arguments), capsys.readouterr()) == plain


@pytest.mark.parametrize("arguments", [["sessions"], ["show", "smollm2-int8"]])
def test_a_plain_command_loads_no_parser(arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; sys.argv[1:] = {arguments}; from txtop.__main__ import main; main();"
        "sys.exit('cyclopts' in sys.modules or 'psutil' in sys.modules)"
    )
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0 and done.stdout
