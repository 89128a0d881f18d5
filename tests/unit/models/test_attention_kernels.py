"""The rules by which a GPU runs an attention, known before loading: a table of devices as data."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from txtop.models import attention_kernels
from txtop.models.attention_kernels import Accelerator
from txtop.plan.cell import Cell
from txtop.plan.serving import Serving
from txtop.system.gpus import find_capability

NAMES = {
    "H100": "NVIDIA H100 80GB HBM3",
    "A100": "NVIDIA A100-SXM4-80GB",
    "4090": "NVIDIA GeForce RTX 4090",
    "T4": "Tesla T4",
    "V100": "Tesla V100-SXM2-16GB",
    "P100": "Tesla P100-PCIE-16GB",
}
GPUS = {key: Accelerator("cuda", name, find_capability(name)) for key, name in NAMES.items()}
GPT2, T5, BERT = ({"model_type": name} for name in ("gpt2", "t5", "bert"))
REQUESTS = Serving(rate=4.0, requests=8)


def explain(card: str, config: dict[str, Any] | None = GPT2, **changes: Any) -> str:
    cell = Cell(id="c", model="m", **{"precision": "bf16", **changes})
    missing = attention_kernels.explain_missing_kernel(cell, GPUS[card], config)
    return missing[0] if missing else ""


@pytest.mark.parametrize(
    ("attention", "able"),
    [
        ("eager", "H100 A100 4090 T4 V100 P100"),
        ("sdpa", "H100 A100 4090 T4 V100 P100"),
        ("sdpa:math", "H100 A100 4090 T4 V100 P100"),
        ("sdpa:efficient", "H100 A100 4090 T4 V100 P100"),
        ("sdpa:flash", "H100 A100 4090"),
        ("sdpa:cudnn", "H100 A100 4090"),
        ("flash_attention_2", "H100 A100 4090"),
        ("flash_attention_3", "H100 A100 4090"),
        ("flex", "H100 A100 4090 T4 V100"),
    ],
)
def test_the_cards_that_have_an_attention_in_fp16(attention: str, able: str) -> None:
    reasons = {card: explain(card, precision="fp16", attention=attention) for card in GPUS}
    assert " ".join(card for card, reason in reasons.items() if not reason) == able
    assert all(NAMES[card] in reason for card, reason in reasons.items() if reason)


@pytest.mark.parametrize(
    ("card", "changes", "reason"),
    [
        ("H100", {"attention": "sdpa:flash", "precision": "fp32"}, "knows fp16 and bf16, not fp32"),
        ("H100", {"attention": "sdpa:cudnn", "precision": "fp32"}, "knows fp16 and bf16, not fp32"),
        ("H100", {"attention": "sdpa:efficient", "precision": "fp32"}, ""),
        ("H100", {"attention": "sdpa:flash", "precision": "int8:weight-only"}, ""),
        ("H100", {"attention": "sdpa:flash"}, ""),
        ("H100", {"attention": "sdpa:flash", "cache": "static"}, "takes no mask: a static cache"),
        ("H100", {"attention": "sdpa:flash", "compile": "default"}, "compiled code"),
        ("H100", {"attention": "sdpa:cudnn", "cache": "static"}, ""),
        ("H100", {"attention": "sdpa:efficient", "cache": "static"}, ""),
        ("H100", {"attention": "sdpa:math", "cache": "static", "precision": "fp32"}, ""),
        ("T4", {"attention": "sdpa:efficient", "precision": "bf16"}, "no bf16 kernel"),
        ("T4", {"attention": "sdpa:efficient", "precision": "fp32"}, ""),
    ],
)
def test_precision_cache_and_compile(card: str, changes: dict[str, Any], reason: str) -> None:
    explained = explain(card, **changes)
    assert reason in explained and bool(explained) == bool(reason)


def test_positions_of_t5_are_a_mask_and_those_of_bert_are_not() -> None:
    assert "the positions of t5" in explain("A100", T5, attention="sdpa:flash")
    assert explain("A100", BERT, attention="sdpa:flash") == ""
    assert explain("A100", None, attention="sdpa:flash") == ""
    assert explain("A100", T5, attention="sdpa:efficient") == ""


@pytest.mark.parametrize(
    ("scenario", "lengths", "masked"),
    [
        ("single", "lognormal", False),
        ("dynamic", "fixed", False),
        ("dynamic", "lognormal", True),
        ("continuous", "fixed", True),
    ],
)
def test_requests_of_several_lengths_are_padded(scenario: Any, lengths: Any, masked: bool) -> None:
    serving = replace(REQUESTS, lengths=lengths)
    reason = explain("H100", attention="sdpa:flash", scenario=scenario, serving=serving)
    assert ("takes no mask" in reason) is masked


def test_pairs_of_one_length_are_not_padded() -> None:
    for pairs, masked in ((((8, 4), (8, 9)), False), (((8, 4), (9, 4)), True)):
        serving = replace(REQUESTS, lengths="pairs", pairs=pairs)
        reason = explain("H100", attention="sdpa:flash", scenario="dynamic", serving=serving)
        assert bool(reason) is masked


def test_a_gpu_of_unknown_capability_refuses_nothing_for_it() -> None:
    unknown = Accelerator("cuda", "NVIDIA Future 1")
    cell = Cell(id="c", model="m", precision="bf16", attention="sdpa:cudnn")
    assert attention_kernels.explain_missing_kernel(cell, unknown, None) is None
    other = Accelerator("xpu")
    assert attention_kernels.explain_missing_kernel(cell, other, None) is None
