"""The matrix that a command line spells, and the rule that ends a cell."""

from __future__ import annotations

from typing import Any

import pytest

from txtop.errors import UsageError
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan import labels


def test_cells_that_share_weights_stand_together_and_none_is_doubled() -> None:
    plan = build_plan(
        RunOptions(
            models=["gpt2", "t5-small", "gpt2"],
            precisions=["fp32", "bf16"],
            batch_sizes=[1, 8],
            sequence_lengths=[32],
        )
    )
    assert [labels.format_short_label(c) for c in plan.cells] == [
        f"{m} {p} batch {b} length 32"
        for m in ("gpt2", "t5-small")
        for p in ("fp32", "bf16")
        for b in (1, 8)
    ]
    assert [len(group) for group in plan.groups] == [2, 2, 2, 2]
    assert [c.id for c in plan.cells] == [f"c{i:03d}" for i in range(1, 9)]


def test_defaults() -> None:
    plan = build_plan(RunOptions())
    (cell,) = plan.cells
    assert (cell.model, cell.precision, cell.attention) == ("gpt2", "fp32", "sdpa")
    assert (cell.batch_size, cell.sequence_length, cell.new_tokens) == (1, 128, 32)
    assert plan.iterations is None and plan.budget_s == 30 and plan.warmup is None
    assert not plan.fitted and not plan.note


def test_what_is_asked_overrides_the_preset() -> None:
    plan = build_plan(RunOptions(preset="quick", models=["t5-small"], budget_s=5.0))
    assert {c.model for c in plan.cells} == {"t5-small"}
    assert plan.iterations is None and plan.budget_s == 5.0 and not plan.fitted
    assert not plan.note


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, (None, 30, False)),
        ({"iterations": 7}, (7, 30, False)),
        ({"budget_s": 7.0}, (None, 7, False)),
        ({"iterations": 7, "budget_s": 5.0}, (7, 5, True)),
        ({"preset": "quick"}, (10, 30, True)),
        ({"preset": "quick", "scale": "smoke"}, (3, 10, True)),
        ({"preset": "quick", "iterations": 10}, (10, 30, False)),
        ({"preset": "quick", "budget_s": 30.0}, (None, 30, False)),
        ({"preset": "families"}, (None, 30, False)),
        ({"preset": "families", "scale": "smoke"}, (3, 10, True)),
    ],
)
def test_a_number_a_budget_or_the_most_within_a_budget(
    options: dict[str, Any], rule: tuple[int | None, float, bool]
) -> None:
    plan = build_plan(RunOptions(**options))
    assert (plan.iterations, plan.budget_s, plan.fitted) == rule


@pytest.mark.fault(37)
def test_a_prompt_longer_than_the_context_names_what_fits() -> None:
    with pytest.raises(UsageError, match="of at most 992"):
        build_plan(RunOptions(sequence_lengths=[993]))
    build_plan(RunOptions(sequence_lengths=[992]))
    build_plan(RunOptions(models=["bert-base-uncased"], sequence_lengths=[512]))
    build_plan(RunOptions(models=["t5-small"], sequence_lengths=[4096]))
