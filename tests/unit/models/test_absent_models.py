"""Models that are nowhere are refused before anything is loaded, be they measured or assistants."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tiny_models
from txtop.errors import UsageError
from txtop.models.absent_models import explain_absent, needs_hub
from txtop.options.ab_plan import ABOptions, build_ab_plan
from txtop.options.explain_options import NO_EXPLAIN_RULES, build_explain_plan
from txtop.options.feasibility import explain_infeasible
from txtop.options.fit_options import build_base_cell
from txtop.options.tune_options import NO_TUNE_RULES
from txtop.options.tune_plan import build_tune_plan
from txtop.plan.cell import Cell


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ("/nowhere/at/all", "no model at /nowhere/at/all"),
        ("./nowhere.gguf", "no model at ./nowhere.gguf"),
        ("two words", "two words is not the name of a model"),
        ("a/b/c", "a/b/c is not the name of a model"),
    ],
)
def test_a_name_that_no_model_can_have_is_refused_as_model_and_as_assistant(
    model: str, cause: str
) -> None:
    refusal = explain_absent(Cell(id="A", model=model))
    assert refusal is not None and refusal.cause == cause and refusal.hint
    assisted = explain_absent(Cell(id="A", model="gpt2", speculative=f"assistant={model}"))
    assert assisted is not None and assisted.cause == f"the assistant of gpt2: {cause}"


def test_the_hub_is_asked_for_names_that_this_machine_does_not_know(tmp_path: Path) -> None:
    local = str(tiny_models.gpt2(tmp_path / "m"))
    for model, asks in (("gpt2", False), (local, False), ("nobody/nothing", True)):
        assert explain_absent(Cell(id="A", model=model)) is None
        assert needs_hub(Cell(id="A", model=model)) is asks
        assert needs_hub(Cell(id="A", model="gpt2", speculative=f"assistant={model}")) is asks


def test_every_command_refuses_a_missing_model_or_assistant_at_once() -> None:
    missing = {"speculative": "assistant=/nowhere"}
    with pytest.raises(UsageError, match="arm B: the assistant of gpt2: no model at /nowhere"):
        build_ab_plan("gpt2", ({}, missing), {}, ABOptions())
    with pytest.raises(UsageError, match="the assistant of gpt2: no model at /nowhere"):
        build_tune_plan("gpt2", missing, NO_TUNE_RULES)
    with pytest.raises(UsageError, match="the assistant of gpt2: no model at /nowhere"):
        build_base_cell("gpt2", missing, "batch-size")
    with pytest.raises(UsageError, match="no model at /nowhere"):
        build_explain_plan("/nowhere", {}, NO_EXPLAIN_RULES)


def test_an_assistant_that_makes_no_text_is_refused_before_loading() -> None:
    cell = Cell(id="A", model="gpt2", speculative="assistant=t5-small")
    assert explain_infeasible(cell) == "the assistant t5-small is no decoder: a smaller decoder"
