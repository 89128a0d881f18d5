"""The operators of two arms are named, as a ratio between two names of one kernel is noise."""

import json

import pytest

from support import ab_sessions
from txtop.analysis.products import compare_products
from txtop.export.ab import export_comparisons
from txtop.protocol import events
from txtop.state.fold import fold_all

ATEN = "aten::_weight_int4pack_mm_for_cpu"
OTHER = "gptqmodel::gemm_int4"


def arms(*kinds: str) -> tuple[dict[str, object], ...]:
    asked = ({"quant_method": "torchao", "quant_type": {"default": {"_type": k}}} for k in kinds)
    return tuple({"quantization": json.dumps(values)} for values in asked)


@pytest.mark.parametrize(
    ("ran", "note"),
    [
        (({"products": [ATEN]}, {"products": [ATEN]}), "both ran _weight_int4pack_mm_for_cpu"),
        (
            ({"products": [ATEN]}, {"products": [OTHER]}),
            "A ran _weight_int4pack_mm_for_cpu, B ran gemm_int4",
        ),
        (
            ({"dequantises": True}, {"products": [OTHER]}),
            "A ran dense products of dequantised weights, B ran gemm_int4",
        ),
        (({}, {"products": [OTHER]}), ""),
    ],
)
def test_kernels_of_two_arms_are_named(
    ran: tuple[dict[str, object], dict[str, object]], note: str
) -> None:
    made = ab_sessions.script(*arms("Int8WeightOnlyConfig", "Int4WeightOnlyConfig")).begin()
    for cell, facts in zip("AB", ran, strict=True):
        made.made.append(events.Kernels(t_ns=made.at_ns, cell=cell, **facts))  # type: ignore[arg-type]
    state = fold_all(made.blocks(12, 1.2).end())
    assert state.ab_test is not None
    assert compare_products(state, state.ab_test, "B") == note
    assert (note in export_comparisons(state)[0].notes) == bool(note)


def test_arms_that_ask_for_one_kernel_say_nothing() -> None:
    made = ab_sessions.script().begin()
    for cell in "AB":
        made.made.append(events.Kernels(t_ns=made.at_ns, cell=cell, products=[ATEN]))
    state = fold_all(made.blocks(12, 1.2).end())
    assert state.ab_test is not None
    assert not compare_products(state, state.ab_test, "B")
