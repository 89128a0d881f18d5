"""Explain real models: parts add up, modules agree with hooks, and planted faults stand first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from time import perf_counter_ns
from typing import Any

import pytest
import torch
from torch import nn

from support import tiny_models
from support.explained import explain, write_gpt2
from txtop.analysis.explanation import compute_closure, get_phase
from txtop.analysis.findings import find_findings
from txtop.protocol.events import Explanation
from txtop.state.session import SessionState
from txtop.worker.tasks.step_window import StepWindow

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


def time_by_hooks(task: Any, model: Any, inputs: Any) -> dict[str, float]:
    """Return the ns of each layer's attention and MLP in a decode step, by hooks and a clock."""
    spent: dict[str, list[int]] = {}
    begun: dict[str, int] = {}
    handles = []
    for name, module in model.named_modules():
        if name.endswith((".attn", ".mlp")):
            spent[name] = []
            handles.append(
                module.register_forward_pre_hook(
                    lambda *_, name=name: begun.__setitem__(name, perf_counter_ns())
                )
            )
            handles.append(
                module.register_forward_hook(
                    lambda *_, name=name: spent[name].append(perf_counter_ns() - begun[name])
                )
            )
    steps: list[dict[str, int]] = []
    for _ in range(6):
        for times in spent.values():
            times.clear()
        StepWindow(1, 10, lambda: None).run(task, inputs)
        # The pass of the prompt and the first step stand before the window.
        steps += [{name: times[i] for name, times in spent.items()} for i in range(2, 12)]
    for handle in handles:
        handle.remove()
    # As the explanation does it: what others add to a step is not the model's.
    steps.sort(key=lambda step: sum(step.values()))
    usual = steps[len(steps) // 8 : len(steps) * 3 // 8]
    return {name: fmean(step[name] for step in usual) for name in spent}


@pytest.mark.slow
def test_parts_add_up_and_modules_agree_with_hooks(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare shares of a step, for two measurements in turn need not see the same machine."""
    by_hooks: dict[str, float] = {}
    state = explain(
        monkeypatch,
        decoder,
        watch=lambda task, model, inputs: by_hooks.update(time_by_hooks(task, model, inputs)),
        new_tokens=20,
    )
    explanation = get_explanation(state)
    for phase in explanation.phases:
        assert compute_closure(phase) == pytest.approx(1, abs=0.02)
        assert phase.event_ns > 0 and phase.profiler_events > 100
    decode = get_phase(explanation, "decode")
    assert decode is not None
    own = {module.path: module.ns for module in decode.modules if module.path in by_hooks}
    assert own.keys() == by_hooks.keys() and len(own) == 6
    for kind in (".attn", ".mlp"):
        ours = sum(ns for path, ns in own.items() if path.endswith(kind)) / sum(own.values())
        theirs = sum(ns for path, ns in by_hooks.items() if path.endswith(kind))
        assert ours == pytest.approx(theirs / sum(by_hooks.values()), rel=0.15)
