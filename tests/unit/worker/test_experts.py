"""The experts of a loaded model, and the parameters that a token passes through."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import MixtralConfig, MixtralForCausalLM

from support import streams
from support.inline_worker import run_inline
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.state.fold import fold_all
from txtop.ui.models.cell_detail import facts


def test_experts_and_active_parameters_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = MixtralConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=8, num_experts_per_tok=2,
    )  # fmt: skip
    model = MixtralForCausalLM(config)
    model.save_pretrained(tmp_path)
    cell = Cell(id="c001", model=str(tmp_path), device="cpu", threads=1)
    with run_inline(monkeypatch) as worker:
        worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
        (load,) = worker.of(events.ModelLoaded)
    asleep = sum(
        values.numel() * 6 // 8
        for name, values in model.named_parameters()
        if ".experts." in name and "gate." not in name
    )
    assert (load.experts, load.experts_per_token) == (8, 2)
    assert load.active_parameters == load.parameters - asleep < load.parameters

    session = fold_all(
        [load if isinstance(e, events.ModelLoaded) else e for e in streams.stream()[:4]]
    )
    lines = facts._list_configuration(session, session.cells["c001"])
    (line,) = (fact.text for fact in lines if fact.label == "experts")
    assert line.startswith("8 in a layer, 2 for each token: ") and line.endswith(
        "parameters active"
    )
