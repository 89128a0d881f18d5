"""Labels of cells: what tells one from the others, and nothing that all share."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from txtop.models import quantised
from txtop.plan.cell import Cell
from txtop.plan.labels import format_short_label, label_arms, name_apart
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.serving import Serving


def test_a_label_has_what_differs() -> None:
    models = ["google/bert_uncased_L-4_H-512", "google/bert_uncased_L-2_H-128"]
    cells = expand_matrix(
        models=models,
        precisions=["fp32", "int8"],
        attention=["sdpa"],
        batch_sizes=[1, 4],
        sequence_lengths=[64],
        new_tokens=[8],
    )
    names = name_apart(Plan(cells=cells).cells)
    assert len(set(names.values())) == len(cells)
    assert list(names.values())[-1] == "…L-2_H-128 · int8 · b4"
    assert list(name_apart(cells[:2]).values()) == ["b1", "b4"]


def test_a_name_of_many_knobs_says_what_is_not_usual() -> None:
    cells = expand_matrix(
        models=["gpt2"], precisions=["fp32", "int8"], attention=["sdpa", "eager"],
        compile=["none", "default"], threads=[None, 2], batch_sizes=[1, 4],
    )  # fmt: skip
    names = name_apart(cells)
    assert len(set(names.values())) == len(cells) == 32
    assert next(iter(names.values())) == "fp32 · b1"
    assert list(names.values())[-1] == "int8 · eager · compile default · 2 threads · b4"
    few = name_apart([cell for cell in cells if cell.threads is None and cell.batch_size == 1])
    assert "fp32 · sdpa · not compiled" in few.values()
    same = replace(cells[0], precision="fp32", batch_size=1)
    usual = [
        replace(same, id=f"{a}{c}{k}{t}", attention=a, compile=c, cache=k, threads=t)
        for a in ("sdpa", "eager") for c in ("none", "default")
        for k in ("dynamic", "static") for t in (None, 2)
    ]  # fmt: skip
    assert all(name_apart(usual).values()) and name_apart(usual)[usual[0].id] == "sdpa"


def test_a_cell_alone_is_named_by_precision_and_batch() -> None:
    assert name_apart([Cell(id="a", model="gpt2", batch_size=8)]) == {"a": "fp32 · b8"}
    assert name_apart([]) == {}


def test_a_load_stands_in_the_place_of_the_batch() -> None:
    served = Cell(
        id="s", model="gpt2", scenario="continuous", serving=Serving(requests=9, concurrency=2)
    )
    names = name_apart([served, Cell(id="b", model="gpt2", batch_size=4)])
    assert names["s"].endswith("continuous 2 clients") and names["b"].endswith("b4")


NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
ATEN = {"quant_method": "gptq", "bits": 4, "group_size": 64, "backend": "gptq_torch_aten"}


def cell_of(settings: dict[str, Any], name: str = "c", **model: str) -> Cell:
    """A cell as it is settled for `settings`."""
    precision = quantised.name_precision(settings, model)
    return Cell(id=name, model="m", precision=precision, quantization=json.dumps(settings))


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (ATEN, "gptq:int4-g64/torch_aten"),
        ({"quant_method": "awq", "bits": 4, "backend": "torch_awq"}, "awq:int4/torch"),
        (NF4, "bnb:nf4"),
        ({"load_in_8bit": True}, "bnb:int8"),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "torchao:int8"),
        ({"quant_method": "compressed-tensors", "dequantize": True}, "dequantised:bf16"),
        ({"quant_method": "fp8", "dequantize": True}, "dequantised:bf16"),
    ],
)
def test_what_the_precision_says_of_a_quantisation_is_not_said_again(
    settings: dict[str, Any], label: str
) -> None:
    assert format_short_label(cell_of(settings)) == f"m {label} batch 1"


def test_settings_that_a_scheme_does_not_name_tell_cells_apart() -> None:
    double = cell_of({**NF4, "bnb_4bit_use_double_quant": True}, "d")
    setting = "bnb_4bit_use_double_quant=true"
    assert format_short_label(double) == f"m bnb:nf4 batch 1 {setting}"
    assert name_apart([cell_of(NF4), double])["d"] == setting
    assert label_arms([cell_of(NF4), double])[0] == ("bnb:nf4", setting)
    # Before it is settled, and of random weights, a precision says nothing of it.
    asked = Cell(id="a", model="m", quantization=json.dumps(NF4))
    assert format_short_label(asked) == "m fp32 batch 1 bitsandbytes nf4"
