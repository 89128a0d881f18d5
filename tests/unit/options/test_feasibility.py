"""Infeasible cells are left out with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from txtop.errors import UsageError
from txtop.models import decoding_rules
from txtop.options import feasibility
from txtop.options.feasibility import drop_infeasible
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.matrix import expand_matrix
from txtop.system import cpu, torch_build

BASE: dict[str, Any] = {
    "models": ["gpt2"],
    "precisions": ["fp32"],
    "attention": ["sdpa"],
    "batch_sizes": [1],
    "sequence_lengths": [8],
    "new_tokens": [4],
}


@pytest.mark.parametrize(
    ("knobs", "kept", "reason"),
    [
        ({"models": ["bert-base-uncased"], "cache": ["dynamic", "static"]}, 1, "no KV cache"),
        ({"models": ["bert-base-uncased"], "new_tokens": [4, 8]}, 1, "one cell is enough"),
        ({"models": ["bert-base-uncased"], "cache": ["static"]}, 1, ""),
        ({"models": ["gpt2"], "new_tokens": [4, 8]}, 2, ""),
        ({"attention": ["sdpa", "flash_attention_2"]}, 1, "not fp32"),
        (
            {"models": ["t5-small"], "precisions": ["bf16"], "attention": ["flash_attention_2"]},
            0,
            "relative positions",
        ),
        ({"attention": ["sdpa", "sdpa:cudnn"], "device": "cpu"}, 1, "no kernels for a CPU"),
        ({"precisions": ["fp32", "int8:torch-dynamic"], "device": "cuda"}, 1, "CPU alone"),
        ({"precisions": ["fp32", "int8:dynamic"], "device": "cuda"}, 1, "needs --compile"),
        (
            {"precisions": ["int8:dynamic"], "device": "cuda", "compile": ["none", "default"]},
            1,
            "needs --compile",
        ),
        ({"precisions": ["int8:dynamic"], "device": "cpu"}, 1, ""),
        ({"precisions": ["fp32", "tf32"], "device": "cpu"}, 1, "NVIDIA GPU"),
        ({"precisions": ["fp32", "tf32"], "device": "cuda"}, 2, ""),
        ({"precisions": ["fp32", "tf32"], "device": "auto"}, 2, ""),
        ({"compile": ["none", "reduce-overhead"]}, 1, "--cache static"),
        ({"compile": ["reduce-overhead"], "cache": ["static"]}, 1, ""),
        ({"compile": ["default"]}, 1, ""),
        ({"compile": ["decode"]}, 1, ""),
        ({"models": ["bert-base-uncased"], "compile": ["none", "decode"]}, 1, "no decode step"),
        ({"cache": ["dynamic", "offloaded"], "device": "cpu"}, 1, "an NVIDIA GPU, not for cpu"),
        ({"cache": ["offloaded"], "device": "cuda"}, 1, ""),
        ({"cache": ["dynamic", "quantized:int4"]}, 1, "needs the library no_such_library"),
        ({"cache": ["quantized:fp8"]}, 1, ""),
        ({"models": ["t5-small"], "cache": ["dynamic", "quantized:fp8"]}, 1, "for decoders"),
        ({"cache": ["quantized:fp8"], "compile": ["none", "default"]}, 1, "--compile knows no"),
        ({"models": ["bert-base-uncased"], "cache": ["quantized:int4"]}, 1, ""),
        ({"speculative": ["none", "prompt-lookup:10"]}, 2, ""),
        ({"speculative": ["prompt-lookup:10"], "batch_sizes": [1, 2]}, 1, "one sequence"),
        ({"speculative": ["prompt-lookup:10"], "compile": ["none", "default"]}, 1, "many lengths"),
        ({"speculative": ["prompt-lookup:10"], "cache": ["dynamic", "static"]}, 1, "takes tokens"),
        ({"models": ["t5-small"], "speculative": ["none", "assistant=x"]}, 1, "for decoders"),
        (
            {"models": ["bert-base-uncased"], "speculative": ["none", "prompt-lookup:10"]},
            1,
            "makes no new tokens",
        ),
    ],
)
@pytest.mark.fault(37)
def test_what_is_left_out(
    knobs: dict[str, Any], kept: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: True)
    monkeypatch.setattr(feasibility, "explain_missing_compiler", lambda _kind: None)
    lacking = replace(decoding_rules.CACHES["quantized:int4"], package="no_such_library")
    monkeypatch.setitem(decoding_rules.CACHES, "quantized:int4", lacking)  # type: ignore[arg-type]
    cells, reasons = drop_infeasible(expand_matrix(**{**BASE, **knobs}))
    assert [c.id for c in cells] == [f"c{n:03d}" for n in range(1, kept + 1)]
    assert len(reasons) == bool(reason)
    assert reason in "".join(reasons)


def test_a_compiled_cell_is_left_out_where_no_compiler_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = expand_matrix(models=["gpt2"], compile=["none", "default"], device="cpu")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert len(drop_infeasible(cells)[0]) == 2
    monkeypatch.setattr("shutil.which", lambda _name: None)
    kept, reasons = drop_infeasible(cells)
    assert [cell.compile for cell in kept] == ["none"]
    assert "--compile default: no C++ compiler (install g++ or set CXX)" in reasons[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"threads": 3}, "3 threads and usual threads are the same here"),
        ({"device": "cpu"}, "cpu and device auto are the same here"),
        ({"device": "cpu:0-3"}, ""),
        ({"threads": 4}, ""),
        ({"threads": 3, "device": "cpu", "batch_size": 8}, ""),
    ],
)
def test_what_the_default_means_here_is_no_other_cell(
    change: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    monkeypatch.setattr(cpu, "choose_thread_count", lambda: 3)
    (usual,) = expand_matrix(**BASE)
    cells, reasons = drop_infeasible((usual, structs.replace(usual, id="c002", **change)))
    assert len(cells) == 1 + (not reason) and cells[0] == usual
    assert len(reasons) == bool(reason) and reason in "".join(reasons)


def test_a_plan_says_what_it_leaves_out() -> None:
    lines: list[str] = []
    plan = build_plan(RunOptions(compile=["none", "max-autotune"]), lines.append)
    assert len(plan.cells) == 1
    assert lines == [
        "left out 1 cell (gpt2 fp32 batch 1 compile max-autotune): "
        "--compile max-autotune needs --cache static: its addresses must stay"
    ]


def test_a_plan_of_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="no cell is left"):
        build_plan(RunOptions(compile=["max-autotune"]))
