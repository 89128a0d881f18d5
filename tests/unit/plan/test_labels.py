"""Labels of cells: what tells one from the others, and nothing that all share."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.plan.labels import name_apart
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


def test_a_cell_alone_is_named_by_precision_and_batch() -> None:
    assert name_apart([Cell(id="a", model="gpt2", batch_size=8)]) == {"a": "fp32 · b8"}
    assert name_apart([]) == {}


def test_a_load_stands_in_the_place_of_the_batch() -> None:
    served = Cell(
        id="s", model="gpt2", scenario="continuous", serving=Serving(requests=9, concurrency=2)
    )
    names = name_apart([served, Cell(id="b", model="gpt2", batch_size=4)])
    assert names["s"].endswith("continuous 2 clients") and names["b"].endswith("b4")
