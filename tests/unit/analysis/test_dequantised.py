"""Weights that are dequantised in every call are named, with what to try."""

from __future__ import annotations

import pytest

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import DEQUANTISES, build_cell_notes
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.fold import fold_all


@pytest.mark.parametrize(
    ("precision", "dequantises", "instead"),
    [
        ("int8:weight-only", True, "--compile default"),
        ("nf4", True, "--precisions int4"),
        ("bnb:nf4", True, "--precisions int4"),
        ("torchao:int8", True, "--compile default"),
        ("gptq:int4-g64/torch", True, '"backend": "gptq_torch_fused"'),
        ("awq:int4-g64/torch", True, '"backend": "torch_fused_awq"'),
        ("gptq:int4-g64", False, ""),
    ],
)
def test_a_dense_product_of_quantised_weights_is_a_note(
    precision: str, dequantises: bool, instead: str
) -> None:
    cell = Cell(id="c1", model="m", precision=precision, sequence_length=8, new_tokens=4)
    session = fold_all(streams.stream(Plan(cells=(cell,), iterations=12, warmup=1)))
    state = session.cells["c1"]
    state.kernels = events.Kernels(t_ns=0, cell="c1", dequantises=dequantises)
    notes = [n for n in build_cell_notes(session, state, FinalMetrics()) if DEQUANTISES in n]
    assert len(notes) == dequantises
    assert all(note.startswith(precision) and instead in note for note in notes)
