"""The arguments that spread a model, the models that have no plan, and what a profile tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig
from transformers import LlamaForCausalLM as Llama

from txtop.models import parallel_rules
from txtop.plan.cell import Cell
from txtop.worker.failures import RejectedError
from txtop.worker.loading import spread
from txtop.worker.tasks.kernel_check import measure_communication

CPU = torch.device("cpu")
TWO = Cell(id="c", model="owner/unknown", parallel="tp=2")


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_rules, "count_devices", lambda _: 4)


def test_a_model_with_a_plan_is_cut_and_any_other_loads_as_ever() -> None:
    config = LlamaConfig(num_attention_heads=4, num_key_value_heads=2)
    arguments = spread.build_load_arguments(TWO, Llama, config, CPU)
    assert arguments["distributed_config"].tp_size == 2
    assert spread.build_load_arguments(Cell(id="c", model="m"), Llama, config, CPU) == {}


@pytest.mark.parametrize(
    ("model_class", "config"), [(GPT2LMHeadModel, GPT2Config()), (BertModel, BertConfig())]
)
def test_a_model_without_a_plan_is_refused_by_its_class(model_class: Any, config: Any) -> None:
    with pytest.raises(RejectedError, match=f"has no plan for cutting a {model_class.__name__}"):
        spread.build_load_arguments(TWO, model_class, config, CPU)


def test_heads_that_the_configuration_alone_tells_are_refused() -> None:
    config = LlamaConfig(hidden_size=72, num_attention_heads=9, num_key_value_heads=3)
    with pytest.raises(RejectedError, match="9 attention heads and 3 key-value heads"):
        spread.build_load_arguments(TWO, Llama, config, CPU)


@pytest.mark.parametrize(
    ("parallel", "placed", "ranks", "note"),
    [
        ("tp=2", None, 2, "2 ranks: times are of rank 0"),
        ("pp", {"a": 0, "b": 1}, 2, "layers over 2 GPUs"),
        ("auto", {"a": 0, "b": "cpu"}, 1, "the host"),
        ("auto", {"": 0}, 1, "auto: all layers went to one GPU"),
    ],
)
def test_a_spread_model_says_over_what(
    parallel: str, placed: dict[str, Any] | None, ranks: int, note: str
) -> None:
    cell = Cell(id="c", model="m", parallel=parallel)
    count, notes = spread.describe_spread(cell, SimpleNamespace(hf_device_map=placed))
    assert count == ranks and note in notes[0]


def test_layers_of_a_pipeline_that_went_to_the_host_are_refused() -> None:
    cell = Cell(id="c", model="m", parallel="pp")
    with pytest.raises(RejectedError, match="does not fit on 1 GPU"):
        spread.describe_spread(cell, SimpleNamespace(hf_device_map={"a": 0, "b": "cpu"}))


def _event(name: str, start: int, end: int) -> Any:
    return SimpleNamespace(name=name, time_range=SimpleNamespace(start=start, end=end))


def test_communication_is_the_union_of_the_collectives_in_a_phase() -> None:
    spans = [
        _event("aten::mm", 0, 40), _event("gloo:all_reduce", 40, 60),
        _event("gloo:all_gather", 50, 70), _event("aten::add", 70, 100),
    ]  # fmt: skip
    assert measure_communication(spans) == pytest.approx(0.3)
    assert measure_communication(spans[:1]) == 0 == measure_communication([])
