"""The options that refusals name exist in the command that ran."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.paths import ROOT
from support.source_trees import parse_sources
from txtop.cli.app import app
from txtop.plan.cell import Cell
from txtop.plan.option_names import ONE_VALUE_COMMANDS, spell_options, takes_lists
from txtop.plan.plan import EdgeSearch, Plan

MEASURING = ("run", *ONE_VALUE_COMMANDS)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
# These texts reach the user of any command that measures, through a refusal, a failure or a note.
SHARED = ("models", "plan", "runner", "tasks", "worker", "analysis", "options", "forecast")
OF_ANOTHER = re.compile(r"(?:txtop \w+|pip install) --[a-z-]+")
# Arguments of processes of txtop's own, and of other programs.
INTERNAL = ("runner/__main__.py", "runner/spawn.py", "runner/child_process.py",
            "worker/__main__.py", "worker/baseline.py", "options/command_line.py",
            "worker/ranks/followers.py")  # fmt: skip
# What only these commands run into.
OF_COMMANDS = {
    "runner/tune_run.py": ("tune",),
    "analysis/tuning.py": ("tune",),
    "worker/accuracy": ("run", "ab", "tune"),
    "tasks": ("run", "ab", "tune"),
    "worker/serving": ("run",),
    "worker/nvtx.py": ("explain",),
    "analysis/ab_notes.py": ("ab",),
    "analysis/compare.py": ("run",),
    "forecast/dealing.py": ("run",),
    "forecast/fit_plan.py": ("fit",),
    "runner/machine_info.py": ("tune",),
    "options/ab_": ("ab",),
    "options/explain_options.py": ("explain",),
    "options/fit_options.py": ("fit",),
    "options/limits.py": ("run", "ab"),
    "forecast/memory_fit.py": ("fit", "tune"),
    "options/one_cell.py": ("ab", "fit", "tune", "explain"),
    "options/places.py": ("run",),
    "options/plan_file.py": ("run",),
    "options/run_": ("run",),
    "options/serving.py": ("run",),
    "options/tasks.py": ("run", "ab", "tune"),
    "options/tune_": ("tune",),
}


@cache
def list_options(command: str) -> frozenset[str]:
    collection = app[command].assemble_argument_collection()
    return frozenset(name for argument in collection for name in argument.names)


def iterate_texts() -> Iterator[tuple[str, str]]:
    """Yield place and text of each string that names an option, docstrings left out."""
    for source in parse_sources(ROOT / "txtop"):
        place = source.path.relative_to(ROOT / "txtop").as_posix()
        if not place.startswith(SHARED) or place in INTERNAL:
            continue
        documents = {
            id(node.body[0].value)
            for node in source.nodes
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
            if isinstance(node.body[0], ast.Expr)
        }
        for node in source.nodes:
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if id(node) not in documents and OPTION.search(node.value):
                yield f"{place}:{node.lineno}", node.value


def test_every_option_that_a_refusal_names_exists_in_the_command_that_ran() -> None:
    absent = []
    for place, text in iterate_texts():
        ran = next((of for start, of in OF_COMMANDS.items() if place.startswith(start)), MEASURING)
        for command in ran:
            spelt = spell_options(text, lists=command not in ONE_VALUE_COMMANDS)
            names = set(OPTION.findall(OF_ANOTHER.sub("", spelt))) - list_options(command)
            absent += [f"{place}: txtop {command} has no {name}" for name in sorted(names)]
    assert absent == []


def test_the_commands_of_one_cell_are_those_without_lists() -> None:
    commands = [name for name in app if not name.startswith("-") and name != "completion"]
    alone = [name for name in commands if "--sequence-length" in list_options(name)]
    assert sorted(alone) == sorted(ONE_VALUE_COMMANDS)


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("--sequence-lengths of at most 34", "--sequence-length of at most 34"),
        ("shorter --sequence-lengths", "shorter --sequence-length"),
        ("--precisions int8, int4 or nf4", "--precision int8, int4 or nf4"),
        ("--batch-sizes 1", "--batch-size 1"),
        ("--cache dynamic or static", "--cache dynamic or static"),
        ("/a--precisions/b", "/a--precisions/b"),
    ],
)
def test_a_command_of_one_cell_spells_options_in_the_singular(text: str, spelt: str) -> None:
    assert spell_options(text, lists=False) == spelt
    assert spell_options(text, lists=True) == text


def test_a_plan_tells_the_command_that_made_it() -> None:
    cell = Cell(id="c001", model="gpt2")
    search = EdgeSearch(largest="both", base=cell)
    assert takes_lists(Plan(cells=(cell,)))
    assert not takes_lists(Plan(cells=(cell,), margin=0.02))
    assert not takes_lists(Plan(cells=(cell,), edge_search=search))
    assert not takes_lists(Plan(cells=(cell,), explain=True))


@pytest.mark.parametrize("command", ONE_VALUE_COMMANDS)
def test_a_prompt_too_long_is_told_of_the_option_that_was_typed(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from txtop.cli.app import run_command_line

    arguments = [command, "gpt2", "--sequence-length", "5000", "--headless"]
    arguments += ["--session-dir", str(tmp_path)]
    arguments += ["--largest", "batch-size"] if command == "fit" else []
    assert run_command_line(arguments) == 2
    error = capsys.readouterr().err
    assert "--sequence-length of at most" in error
    assert "--sequence-lengths" not in error
