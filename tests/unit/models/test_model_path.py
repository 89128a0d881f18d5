"""Paths of models in a plan: absolute, so that it holds in another directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import tiny_models
from txtop.models.model_path import make_absolute
from txtop.options.ab_options import NO_RULES
from txtop.options.ab_plan import build_ab_plan
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a directory with the model `m`, and a link `l` to a directory in another place."""
    tiny_models.gpt2(tmp_path / "here" / "m", weights=False)
    (tmp_path / "other" / "deep").mkdir(parents=True)
    tiny_models.gpt2(tmp_path / "other" / "m", weights=False)
    (tmp_path / "here" / "l").symlink_to(tmp_path / "other" / "deep")
    (tmp_path / "here" / "latest").symlink_to("m")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Path(os.path.realpath(tmp_path)) / "here"


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("m", "m"),
        ("./m/", "m"),
        ("../here/m", "m"),
        ("~/here/m", "m"),
        ("l/../m", "../other/m"),
        ("latest", "latest"),
        ("./latest", "latest"),
        ("./absent", "absent"),
        ("../absent", "../absent"),
        ("absent.gguf", "absent.gguf"),
        (".", "."),
        ("m/.", "m"),
    ],
)
def test_a_path_holds_in_any_directory(here: Path, model: str, path: str) -> None:
    absolute = make_absolute(model)
    assert Path(absolute) == Path(os.path.normpath(here / path)) or model.startswith("~")
    assert os.path.isabs(absolute) and ".." not in absolute.split("/")
    os.chdir("/")
    assert make_absolute(absolute) == absolute


@pytest.mark.parametrize("model", ["gpt2", "org/name", "absent", "bad\0name", "~nobody-here/m"])
def test_other_names_stay_as_they_are(here: Path, model: str) -> None:
    assert make_absolute(model) == model


@pytest.mark.fault(46)
def test_the_plans_of_run_and_ab_hold_absolute_paths(here: Path) -> None:
    plan = build_plan(RunOptions(models=["m", "./m", "gpt2"], sequence_lengths=[8], new_tokens=[4]))
    assert [cell.model for cell in plan.cells] == [str(here / "m"), "gpt2"]
    arms = [{"precision": "fp32"}, {"model": "../other/m"}]
    shared = {"sequence_length": 8, "new_tokens": 4}
    cells = build_ab_plan("./m", arms, shared, NO_RULES.to_ab_options()).cells
    assert [cell.model for cell in cells] == [str(here / "m"), str(here.parent / "other" / "m")]


def test_a_directory_that_is_gone_leaves_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert make_absolute("./m") == "./m"
