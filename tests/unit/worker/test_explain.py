"""Explain real models: parts add up, modules agree with hooks, and planted faults stand first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support import tiny_models
from support.explained import explain, write_gpt2
from support.module_hooks import (
    HookedExplainer,
    compare_with_hooks,
    divide_by_sums,
    sum_by_kind,
)
from txtop.analysis.explanation import compute_closure
from txtop.analysis.findings import find_findings
from txtop.protocol.events import Explanation
from txtop.state.session import SessionState

PLANTED = (
    "synchronisation", "launch-bound", "padding", "dequantisation", "threads", "kernel",
    "cache-copies",
)  # fmt: skip


def get_explanation(state: SessionState) -> Explanation:
    return state.explanations["c001"]


def list_rules(state: SessionState) -> list[str]:
    return [finding.rule for finding in find_findings(state, state.cells["c001"])]


def read_in_each_layer(model: Any) -> None:
    def plant(block: Any) -> None:
        plain = block.mlp.forward

        def forward(hidden: torch.Tensor) -> torch.Tensor:
            hidden.sum().item()
            result: torch.Tensor = plain(hidden)
            return result

        block.mlp.forward = forward

    for block in model.transformer.h:
        plant(block)


class EagerInt8(nn.Module):
    """A projection of GPT-2 whose weight is turned into floats in each call."""

    def __init__(self, plain: Any) -> None:
        super().__init__()
        self.scale = float(plain.weight.abs().max()) / 127
        self.weight = nn.Parameter((plain.weight / self.scale).to(torch.int8), requires_grad=False)
        self.bias = plain.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to(torch.float32) * self.scale
        product: torch.Tensor = hidden @ weight + self.bias
        return product


def dequantise_in_each_call(model: Any) -> None:
    for block in model.transformer.h:
        for owner, name in (
            (block.attn, "c_attn"), (block.attn, "c_proj"),
            (block.mlp, "c_fc"), (block.mlp, "c_proj"),
        ):  # fmt: skip
            setattr(owner, name, EagerInt8(getattr(owner, name)))


def copy_the_cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def spoil(_: Any) -> None:
        from transformers.cache_utils import Cache

        plain = Cache.update

        def update(self: Any, *args: Any, **named: Any) -> Any:
            keys, values = plain(self, *args, **named)
            for _ in range(6):
                keys, values = keys.clone(), values.clone()
            return keys, values

        monkeypatch.setattr(Cache, "update", update)

    return spoil


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gpt2(tmp_path_factory.mktemp("gpt2") / "model")


@pytest.mark.slow
def test_the_unspoilt_model_has_none_of_the_planted_faults(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(list_rules(explain(monkeypatch, decoder))) & set(PLANTED) == set()


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_stands_first(
    fault: str, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "synchronisation":
        state = explain(monkeypatch, decoder, read_in_each_layer)
    elif fault == "launch-bound":
        state = explain(monkeypatch, tiny_models.gpt2(tmp_path / "tiny"), weights="auto")
    elif fault == "padding":
        state = explain(monkeypatch, decoder, padded=0.5)
    elif fault == "dequantisation":
        state = explain(monkeypatch, decoder, dequantise_in_each_call)
    elif fault == "threads":
        state = explain(monkeypatch, decoder, cores=2)
    elif fault == "kernel":
        long = write_gpt2(tmp_path / "long", width=128, layers=2, positions=2112)
        state = explain(monkeypatch, long, attention="eager", sequence_length=2048, new_tokens=4)
    else:
        state = explain(monkeypatch, decoder, copy_the_cache(monkeypatch), sequence_length=64)
    assert list_rules(state)[:1] == [fault]


@pytest.mark.slow
def test_parts_add_up_and_modules_agree_with_hooks(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare medians of passes that take turns; `tests/bench/module_times.py` prints times."""
    monkeypatch.setattr("txtop.worker.explain.explain.Explainer", HookedExplainer)
    explanation = get_explanation(explain(monkeypatch, decoder, new_tokens=20))
    for phase in explanation.phases:
        assert compute_closure(phase) == pytest.approx(1, abs=0.02)
        assert phase.event_ns > 0 and phase.profiler_events > 100
        compared = compare_with_hooks(phase)
        assert {one.path.rpartition(".")[2] for one in compared} >= {"attn", "mlp", "lm_head"}
        for one in sum_by_kind(divide_by_sums(compared)):
            # As near as hooks are to themselves, and a tenth: others may use the machine.
            assert one.ratio == pytest.approx(1, abs=0.1 + abs(one.own_ratio - 1)), one
