"""The table of knobs is complete: a new knob needs one line in it and one field of `Cell`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS

PACKAGE = ROOT / "txtop"
FIELD = '    made_up: Literal["plain", "fancy"] = "plain"\n'
LINE = """    Knob(
        field="made_up",
        option="made_ups",
        title="made up",
        heading="made",
        live=("mad", 6),
        ahead=("made up", 8),
        help="what nobody needs",
        hint="plain, or fancy",
        label="{} finish".format,
        note="{} finish".format,
    ),
"""


def test_every_field_of_a_cell_is_in_the_table() -> None:
    # How requests come is not a knob: the load has options of its own.
    assert {knob.field for knob in KNOBS} == {*Cell.__struct_fields__} - {
        "id",
        "alias",
        "base",
        "attention_asked",
        "scenario",
        "serving",
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy txtop with one more line in the table and one more field."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "txtop", ignore=shutil.ignore_patterns("__pycache__"))
    for name, mark, more in (
        ("cell", '    scenario: Scenario = "static"\n', FIELD),
        ("knobs", ")\nBY_FIELD", LINE),
    ):
        path = root / "txtop" / "plan" / f"{name}.py"
        before, separator, after = path.read_text().partition(mark)
        path.write_text(before + more + separator + after)
    return root


def python(copy: Path, *arguments: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environ, cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_knob_is_an_option(copy: Path) -> None:
    help_text = python(copy, "-m", "txtop", "run", "--help")
    assert "--made-ups CHOICE" in help_text and "[choices: plain, fancy]" in help_text
    assert "--made-up CHOICE" in python(copy, "-m", "txtop", "ab", "--help")


def test_a_new_knob_is_saved_read_and_overridden(copy: Path) -> None:
    command = ("-m", "txtop", "run", "--save-plan", "-")
    saved = python(copy, *command, "--made_ups", "plain", "fancy")
    assert saved == 'made_ups = ["plain", "fancy"]\n'
    plan = copy / "plan.toml"
    plan.write_text(saved + 'models = ["gpt2"]\n')
    assert python(copy, *command, "--plan", str(plan), "--made-ups", "fancy") == (
        'models = ["gpt2"]\nmade_ups = ["fancy"]\n'
    )


SCRIPT = """
import json
from txtop.options import ab_plan
from txtop.options.run_plan import build_plan
from txtop.options.run_options import RunOptions
from txtop.plan import labels
from txtop.analysis.compare import _build_match_keys
from txtop.options.command_line import format_cell_command, format_command
from txtop.ui.models.matrix_choices import MatrixChoices
options = RunOptions(models=["gpt2"], made_ups=["plain", "fancy"])
plan = build_plan(options)
plain, fancy = plan.cells
choices = MatrixChoices()
row = choices.named("made_ups")
row.choose("fancy")
arms = [ab_plan.parse_arm("--a", "made_up=plain"), ab_plan.parse_arm("--b", "made-up=fancy")]
ab_test = ab_plan.build_ab_plan("gpt2", arms, {}, ab_plan.ABOptions())
print(json.dumps({
    "cells": [c.made_up for c in plan.cells],
    "groups": plain.group != fancy.group,
    "short": [labels.format_short_label(c) for c in plan.cells],
    "names": labels.label_arms(plan.cells)[0],
    "command": format_command(options),
    "again": format_cell_command(plan, fancy),
    "ab_plan": format_cell_command(ab_test, ab_test.cells[0]),
    "values": row.values,
    "chosen": choices.to_run_options().made_ups,
    "compared": len({*_build_match_keys(plan.cells).values()}) == 2,
}))
"""


def test_a_new_knob_is_built_named_spelled_and_compared(copy: Path) -> None:
    assert json.loads(python(copy, "-c", SCRIPT)) == {
        "cells": ["plain", "fancy"],
        "groups": True,
        "short": ["gpt2 fp32 batch 1", "gpt2 fp32 batch 1 fancy finish"],
        "names": ["plain finish", "fancy finish"],
        "command": "txtop run --made-ups plain fancy",
        "again": "txtop run --models gpt2 --made-ups fancy",
        "ab_plan": "txtop ab gpt2 --a precision=fp32 --b made_up=fancy",
        "values": ["plain", "fancy"],
        "chosen": ["plain", "fancy"],
        "compared": True,
    }


def test_a_new_knob_is_exported(copy: Path) -> None:
    """A session recorded before the knob existed exports its default."""
    for name in os.listdir(PACKAGE.parent / "sessions"):
        out = python(
            copy,
            "-m",
            "txtop",
            "export",
            str(PACKAGE.parent / "sessions" / name),
            "--format",
            "csv",
        )
        heading, first = out.splitlines()[:2]
        assert heading.split(",").count("made_up") == 1 and ",plain," in first
        break
