"""The options of tasks: points, files, directories, built-in names."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from txtop.errors import UsageError
from txtop.options.command_line import format_cell_command
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.options.tasks import (
    build_tasks,
    parse_allowed_loss,
    parse_margin,
    parse_points,
    require_answerable,
)

ITEM = '{"question": "a", "choices": ["b", "c"], "answer": 0}\n'


@pytest.mark.parametrize(
    ("text", "share"),
    [("1pt", 0.01), ("-1pt", -0.01), ("−0.5 pt", -0.005), ("0.02", 0.02), ("3%", 0.03)],
)
def test_points_are_shares(text: str, share: float) -> None:
    assert parse_points("--min-accuracy", text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "one", "1 point", "2", "101pt", "nan"])
def test_what_is_no_number_of_points_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number of points: write 1pt or"):
        parse_points("--min-accuracy", text)


def test_an_allowed_loss_is_no_gain_and_not_everything() -> None:
    assert [parse_allowed_loss("--m", text) for text in ("0", "-1pt", "-0.5")] == [0, -0.01, -0.5]
    with pytest.raises(UsageError, match="--m: '1pt' asks for a gain: a loss has a minus"):
        parse_allowed_loss("--m", "1pt")
    with pytest.raises(UsageError, match="--m: '-1' allows every loss: as -1pt"):
        parse_allowed_loss("--m", "-1")


def test_a_task_that_no_model_of_the_plan_can_answer_is_refused_at_the_start() -> None:
    (pairs,), (facts,) = build_tasks(["pairs"]), build_tasks(["facts"])
    with pytest.raises(UsageError, match="--task pairs: similarity of pairs needs an encoder"):
        require_answerable([pairs], ["gpt2"])
    with pytest.raises(UsageError, match="--task facts: multiple choice needs a decoder"):
        require_answerable([facts], ["bert-base-uncased"])
    # One that another model can answer, and those that only the Hub knows, are for the run.
    require_answerable([pairs, facts], ["gpt2", "bert-base-uncased"])
    require_answerable([pairs], ["gpt2", "nobody/nothing"])


def test_a_margin_is_above_zero() -> None:
    assert parse_margin("--accuracy-margin", "0.5pt") == pytest.approx(0.005)
    with pytest.raises(UsageError, match="--accuracy-margin: '1' allows every loss: as 1pt"):
        parse_margin("--accuracy-margin", "1")
    for text in ("0pt", "-1pt"):
        with pytest.raises(UsageError, match="is not above 0"):
            parse_margin("--accuracy-margin", text)


def test_files_directories_and_names_that_ship(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text(ITEM, "utf-8")
    tasks = build_tasks([str(tmp_path), "facts", str(tmp_path / "one.jsonl")])
    assert [task.name for task in tasks] == ["one", "two", "facts"]
    assert tasks[2].path == "builtin:facts"
    # As a recording spells it.
    assert build_tasks([tasks[2].path]) == (tasks[2],)
    other = tmp_path / "other"
    other.mkdir()
    (other / "one.jsonl").write_text(ITEM + ITEM.replace('"a"', '"d"'), "utf-8")
    both = build_tasks([str(tmp_path / "one.jsonl"), str(other)])
    assert len({task.name for task in both}) == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="in it: docs"):
        build_tasks([str(empty)])


def test_the_command_of_a_cell_asks_for_the_same_tasks(tmp_path: Path) -> None:
    (tmp_path / "a b.jsonl").write_text(ITEM, "utf-8")
    options = RunOptions(
        models=["gpt2"], task=["facts", str(tmp_path / "a b.jsonl")], accuracy_margin=0.005
    )
    plan = build_plan(options)
    arguments = shlex.split(format_cell_command(plan, plan.cells[0]))
    at = arguments.index("--task")
    assert build_tasks(arguments[at + 1 : at + 3]) == plan.tasks
    assert arguments[arguments.index("--accuracy-margin") + 1] == "0.005"
