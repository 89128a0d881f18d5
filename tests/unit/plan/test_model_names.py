"""Names of models: unique beside the others, and a repository's name for a snapshot."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtop.forecast.history import normalise_cell
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.plan.model_names import (
    name_in_row,
    name_models,
    name_together,
    shorten_alike,
    shorten_model_name,
)
from txtop.plan.plan import Plan, hash_workload

COMMITS = "c1899de289a04d12100db370d81485cdf75e47ca", "d1899de289a04d12100db370d81485cdf75e47ca"
HUB = "/home/u/.cache/huggingface/hub/models--acme--whole-model/snapshots/"


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["gpt2", "google/bert-base"], ["gpt2", "bert-base"]),
        (["/m/a/final", "/m/b/final/"], ["a/final", "b/final"]),
        (["./ck/a/final", "ck/b/final", "gpt2"], ["a/final", "b/final", "gpt2"]),
        (["/m/a/x/final", "/m/b/x/final", "/m/y/final"], ["a/x/final", "b/x/final", "y/final"]),
        (["final", "/m/b/final"], ["final", "b/final"]),
        (["a/gpt2", "b/gpt2", "gpt2"], ["a/gpt2", "b/gpt2", "gpt2"]),
        (["/m/q4.gguf", "/n/q4.gguf"], ["m/q4.gguf", "n/q4.gguf"]),
        ([HUB + COMMITS[0]], ["whole-model"]),
        ([HUB + COMMITS[0] + "/"], ["whole-model"]),
        ([HUB + COMMITS[0] + "/gguf/q4.gguf"], ["q4.gguf"]),
        (["models--gpt2/snapshots/" + COMMITS[0]], ["gpt2"]),
        ([HUB + COMMITS[0], "other/whole-model"], ["acme/whole-model", "other/whole-model"]),
        ([HUB + c for c in COMMITS], ["whole-model@c1899de", "whole-model@d1899de"]),
        (["acme/whole-model", HUB + COMMITS[0]], ["whole-model", "whole-model@c1899de"]),
        (["a", "./a"], ["a", "./a"]),
        (["/", "."], ["/", "."]),
    ],
)
def test_a_name_is_the_shortest_ending_that_is_no_other_models(
    models: list[str], names: list[str]
) -> None:
    assert list(name_models(models).values()) == names


@pytest.mark.parametrize(
    ("names", "apart", "together"),
    [
        (
            ("bert_uncased_L-4_H-512_A-8", "bert_uncased_L-2_H-128_A-2"),
            ["…L-4_H-512_A-8", "…L-2_H-128_A-2"],
            "bert_uncased_…, 2 models",
        ),
        (
            ("bert_uncased_L-4_H-512_A-8", "bert_uncased_L-2_H-512_A-8"),
            ["…L-4…", "…L-2…"],
            "bert_uncased_…_H-512_A-8, 2 models",
        ),
        (
            ("SmolLM2-135M-Instruct", "SmolLM2-360M-Instruct"),
            ["…135M…", "…360M…"],
            "SmolLM2-…-Instruct, 2 models",
        ),
        (("Qwen2.5-0.5B", "Qwen2.5-1.5B"), ["…0.5B", "…1.5B"], "Qwen2.5-…, 2 models"),
        (("gpt2", "gpt2-medium"), ["gpt2", "gpt2-medium"], "gpt2 +1"),
        (("t5-small", "t5-base"), ["t5-small", "t5-base"], "t5-small +1"),
        (("gpt2",), ["gpt2"], "gpt2"),
        ((), [], ""),
    ],
)
def test_parts_that_all_names_share_are_cut(
    names: tuple[str, ...], apart: list[str], together: str
) -> None:
    assert list(shorten_alike(names).values()) == apart
    assert name_together(names) == together


@pytest.mark.parametrize(
    ("names", "row"),
    [
        (
            ("SmolLM2-135M-Instruct", "SmolLM2-135M-GPTQ", "SmolLM2-135M-CT"),
            "SmolLM2-135M-Instruct …GPTQ …CT",
        ),
        (("gpt2", "bert-base-uncased"), "gpt2 bert-base-uncased"),
        (("gpt2",), "gpt2"),
        ((), ""),
    ],
)
def test_in_a_row_the_first_name_is_whole(names: tuple[str, ...], row: str) -> None:
    assert name_in_row(names) == row


PARTS = st.lists(st.sampled_from(["a", "b", "final", ".", ""]), min_size=1, max_size=4)


@pytest.mark.fault(55)
@given(st.lists(PARTS.map("/".join), min_size=1, max_size=6, unique=True))
def test_no_two_models_share_a_name(models: list[str]) -> None:
    names = name_models(models)
    assert list(names) == models and len(set(names.values())) == len(models)


@given(st.lists(st.text("ab-_", min_size=1), min_size=1, max_size=5, unique=True))
def test_names_without_what_they_share_still_differ(names: list[str]) -> None:
    assert len(set(shorten_alike(tuple(names)).values())) == len(names)


def _plan(*models: str) -> Plan:
    return Plan(cells=tuple(Cell(id=f"c{i}", model=model) for i, model in enumerate(models)))


@pytest.mark.fault(55)
def test_the_cells_of_a_plan_have_the_names_also_when_it_is_read_back() -> None:
    plan = _plan("/m/a/final", "/m/b/final", HUB + COMMITS[0])
    names = ["a/final", "b/final", "whole-model"]
    for same in (plan, msgspec.json.decode(msgspec.json.encode(plan), type=Plan)):
        assert [cell.model_name for cell in same.cells] == names
        assert labels.format_short_label(same.cells[0]).startswith("a/final fp32")
        assert labels.label_arms(same.cells)[0] == tuple(names)
    (alone,) = _plan("/m/a/final").cells
    assert alone.model_name == "final" == shorten_model_name(alone.model)
    assert b"alias" not in msgspec.json.encode(_plan("gpt2", "/m/a/final"))


def test_a_name_is_no_part_of_the_work() -> None:
    both, alone = _plan("/m/a/final", "/m/b/final"), _plan("/m/a/final")
    assert normalise_cell(both.cells[0]) == normalise_cell(alone.cells[0])
    assert both.cells[0].group == alone.cells[0].group
    again = msgspec.structs.replace(both, cells=both.cells[:1])
    assert again.cells == alone.cells and hash_workload(again) == hash_workload(alone)
