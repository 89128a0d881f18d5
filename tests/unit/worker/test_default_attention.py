"""The default attention of a model that has no sdpa, against the one that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from txtop.options.ab_plan import ABOptions, build_ab_plan
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.protocol import events
from txtop.state.cell import CellState
from txtop.worker.failures import RejectedError
from txtop.worker.loading import attention
from txtop.worker.loading.load import read_model
from txtop.worker.loading.source import resolve_model

CPU = torch.device("cpu")
WITHOUT = [
    "BigBirdModel", "BloomForCausalLM", "DebertaV2Model", "FNetForMaskedLM", "LongformerModel",
    "MPNetModel", "MambaForCausalLM",
]  # fmt: skip


@pytest.mark.fault(57)
@pytest.mark.parametrize("name", WITHOUT)
def test_a_default_is_replaced_and_a_wish_is_refused(name: str) -> None:
    model_class = getattr(transformers, name)
    cell, notes = attention.choose_attention(model_class, Cell(id="c", model="m"))
    assert cell.attention == "eager" and notes == [
        f"attention eager: {name} has no sdpa, the default"
    ]
    attention.require_attention(model_class, cell.attention, CPU)
    asked = Cell(id="c", model="m").ask_attention()
    assert attention.choose_attention(model_class, asked) == (asked, [])
    with pytest.raises(RejectedError, match=f"{name} has no sdpa attention"):
        attention.require_attention(model_class, asked.attention, CPU)


def test_a_model_that_has_the_default_keeps_it() -> None:
    cell = Cell(id="c", model="m")
    assert attention.choose_attention(transformers.LlamaForCausalLM, cell) == (cell, [])


@pytest.mark.fault(57)
def test_such_a_model_is_loaded_and_the_cell_says_eager(tmp_path: Path) -> None:
    config = transformers.FNetConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1
    )
    transformers.FNetForMaskedLM(config).save_pretrained(tmp_path)
    cell = Cell(id="c", model=str(tmp_path), device="cpu")
    source = resolve_model(cell.model, "auto", Allowed(), lambda _: None, lambda *_: None)
    loaded = read_model(cell, source, 0, 1, lambda _: None)
    assert loaded.attention == loaded.settle(cell).attention == "eager"
    assert "attention eager" in loaded.notes[-1]
    load = events.ModelLoaded(
        t_ns=0, cell="c", worker="w", load_s=1, phases={}, family="encoder", weights="pretrained",
        source="", parameters=1, weight_bytes=1, device="cpu", device_name="", threads=1,
        attention=loaded.attention, versions={},
    )  # fmt: skip
    assert CellState(cell, load=load).attention == "eager"
    assert CellState(cell).attention == "sdpa"


def test_only_a_typed_attention_is_asked_for() -> None:
    for given, asked in ((None, False), (["sdpa"], True), (["eager"], False)):
        plan = build_plan(RunOptions(models=["gpt2"], attention=given))
        assert [bool(cell.attention_asked) for cell in plan.cells] == [asked]
    arms = [{"precision": "bf16"}, {"attention": "sdpa"}]
    ab_plan = build_ab_plan("gpt2", arms, {}, ABOptions())
    assert [bool(cell.attention_asked) for cell in ab_plan.cells] == [False, True]
