"""Packed tensors that contradict their configuration are refused by their headers."""

from __future__ import annotations

from typing import Any

import pytest

from txtop.models.packed_tensors import find_packing_fault

# 64 inputs, 48 outputs, 4 bits, groups of 32.
GPTQ = {"a.qweight": [8, 48], "a.scales": [2, 48], "a.g_idx": [64], "a.qzeros": [2, 6]}
AWQ = {"a.qweight": [64, 6], "a.scales": [2, 48], "a.qzeros": [2, 6]}


@pytest.mark.parametrize(
    ("shapes", "config", "fault"),
    [
        (GPTQ, {}, ""),
        (AWQ, {"quant_method": "awq"}, ""),
        ({**GPTQ, "a.scales": [1, 48]}, {"group_size": -1}, ""),
        ({**GPTQ, "a.scales": [1, 48]}, {"group_size": 128}, ""),
        ({**GPTQ, "a.qweight": [6, 48]}, {"bits": 3}, ""),
        (GPTQ, {"quant_method": "awq"}, "quant_method awq, and its tensors are packed as those of"),
        (AWQ, {}, "quant_method gptq, and its tensors are packed as those of awq"),
        (GPTQ, {"bits": 8}, "bits 8, and its tensors have 4"),
        (AWQ, {"quant_method": "awq", "bits": 8}, "bits 8, and its tensors have 4"),
        (GPTQ, {"group_size": 64}, "group_size 64, and its tensors have 32"),
        (AWQ, {"quant_method": "awq", "group_size": 64}, "group_size 64, and its tensors have 32"),
        # Other layouts and settings by layer are not judged.
        (AWQ, {"checkpoint_format": "marlin"}, ""),
        (GPTQ, {"quant_method": "awq", "version": "gemv"}, ""),
        (GPTQ, {"group_size": 64, "dynamic": {"a": {}}}, ""),
        (GPTQ, {"quant_method": "bitsandbytes", "group_size": 64}, ""),
        ({"a.qweight": [8, 48]}, {}, ""),
        ({"a.qweight": "x", "a.scales": [2, 48]}, {"checkpoint_format": "marlin"}, ""),
    ],
)
def test_tensors_are_held_against_their_configuration(
    shapes: dict[str, Any], config: dict[str, Any], fault: str
) -> None:
    tensors = {name: {"dtype": "I32", "shape": shape} for name, shape in shapes.items()}
    own = {"quant_method": "gptq", "bits": 4, "group_size": 32, **config}
    assert find_packing_fault(own, tensors).startswith(fault)
    assert bool(find_packing_fault(own, tensors)) is bool(fault)
