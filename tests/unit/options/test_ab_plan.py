"""Arms as a command line spells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import quantised_models
from txtop.errors import UsageError
from txtop.options import ab_plan
from txtop.options.ab_plan import ABOptions, build_ab_plan, parse_arm


def test_an_arm_is_knobs_with_commas() -> None:
    assert parse_arm("--a", "precision=bf16,threads=2") == {"precision": "bf16", "threads": 2}
    assert parse_arm("--a", "batch-size=8") == {"batch_size": 8}
    assert parse_arm("--a", "model=./a=b") == {"model": "./a=b"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("precision=bf17", "did you mean bf16?"),
        ("precison=bf16", "did you mean precision?"),
        ("colour=red", "one of model, precision"),
        ("precision", "sets nothing"),
        ("precision=", "sets nothing"),
        ("", "sets nothing"),
        ("precision=bf16,precision=fp32", "set twice"),
        ("threads=0", "not between 1 and 1,000,000"),
        ("threads=two", "is not a number"),
        ("threads=\u0662", "is not a number"),
        ("model=\udcff", "is not a valid model name"),
    ],
)
def test_what_is_no_arm_is_refused_with_the_nearest_word(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")) as caught:
        parse_arm("--a", word)
    assert caught.value.exit_code == 2


def test_every_knob_of_a_cell_can_be_turned() -> None:
    from txtop.plan.cell import Cell

    # Arms take turns iteration by iteration; how requests come is not theirs to turn.
    # The option of the attention alone says if it was asked for.
    others = {"id", "alias", "base", "scenario", "serving", "attention_asked"}
    assert set(ab_plan.FIELDS) == set(Cell.__struct_fields__) - others


def test_arms_stand_over_what_they_share() -> None:
    made = build_ab_plan(
        "gpt2", ({}, {"batch_size": 4}), {"batch_size": 2, "precision": "bf16"}, ABOptions()
    )
    assert [(c.id, c.batch_size, c.precision) for c in made.cells] == [
        ("A", 2, "bf16"),
        ("B", 4, "bf16"),
    ]
    assert made.margin == 0.02 and made.budget_s == 120 and made.iterations is None


def test_without_arms_fp32_stands_against_bf16() -> None:
    made = build_ab_plan("gpt2", (), {}, ABOptions(margin=0.05, blocks=12, starts=4))
    assert [c.precision for c in made.cells] == ["fp32", "bf16"]
    assert (made.margin, made.iterations, made.starts) == (0.05, 12, 4)


@pytest.mark.parametrize(
    ("knobs", "shared", "rules", "message"),
    [
        (({},), {}, {}, "nothing to be compared with"),
        (({},) * 9, {}, {}, "9 arms are too many"),
        (({}, {"model": "bert-base-uncased"}), {}, {}, "arm A makes tokens and arm B"),
        (({}, {"sequence_length": 2000}), {}, {}, "arm B: 2000 . 32 new tokens"),
        (
            ({}, {"attention": "flash_attention_2"}),
            {},
            {},
            "arm B: flash_attention_2 knows fp16 and bf16",
        ),
        (({}, {}), {"batch_size": 0}, {}, "--batch-size 0"),
        (({}, {}), {}, {"margin": 0.0}, "--margin 0"),
        (({}, {}), {}, {"blocks": 3, "budget_s": 1.0}, "contradict"),
        (({}, {}), {}, {"budget_s": -1.0}, "--budget -1"),
        (({}, {}), {}, {"starts": 0}, "--starts 0 is not 1, nor 4 to 100"),
        (({}, {}), {}, {"starts": 3}, "--starts 3 is not 1, nor 4 to 100"),
        (({}, {}), {}, {"starts": 101}, "--starts 101"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    knobs: tuple[dict[str, object], ...],
    shared: dict[str, object],
    rules: dict[str, float],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        build_ab_plan("gpt2", knobs, shared, ABOptions(**rules))  # type: ignore[arg-type]


def test_identical_arms_may_be_compared() -> None:
    made = ab_plan.build_precision_ab_plan("gpt2", "fp32", "fp32")
    assert made.cells[0].group == made.cells[1].group


def test_precisions_that_a_stored_checkpoint_does_not_take_are_no_arms(tmp_path: Path) -> None:
    stored = str(quantised_models.write(tmp_path / "stored", "torchao:int8"))
    given = {"sequence_length": 8, "new_tokens": 2}
    for arms in ((), ({"precision": "int8"}, {"precision": "bf16"})):
        with pytest.raises(UsageError, match="stored as torchao:int8 and keeps that"):
            build_ab_plan(stored, arms, given, ABOptions())
    # What differs in anything else, or is typed alike, is measured.
    for arm in ({"precision": "bf16", "threads": 2}, {"precision": "fp32"}):
        build_ab_plan(stored, ({"precision": "fp32"}, arm), given, ABOptions())
