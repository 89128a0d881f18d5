"""`--compile decode` with a dynamic cache: steps of one token are compiled, the prompt is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from txtop.plan.cell import Cell, Compile
from txtop.worker.tasks.task import make_inputs
from txtop.worker.tasks.text_generation import TextGenerationTask


@pytest.mark.parametrize(
    ("compiles", "compiled"), [("decode", [1, 1, 1]), ("default", [8, 1, 1, 1])]
)
def test_the_lengths_that_are_compiled(
    compiles: Compile, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def compile(forward: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        assert options == {"mode": "default", "dynamic": True}

        def record(*args: Any, **named: Any) -> Any:
            lengths.append(named["input_ids"].shape[1])
            return forward(*args, **named)

        return record

    monkeypatch.setattr(torch, "compile", compile)
    cell = Cell(id="c1", model="m", sequence_length=8, new_tokens=4, compile=compiles)
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=96)).eval()
    device = torch.device("cpu")
    task = TextGenerationTask(model, device)
    task.compile(cell)
    assert task.iterate(make_inputs(cell, 96, 0, device), False, None, lambda: None).tokens == 4
    assert lengths == compiled
