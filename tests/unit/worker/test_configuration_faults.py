"""A configuration that leaves nothing to measure, or that the library refuses, is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel, LlamaForCausalLM

from support import tiny_models
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading import architecture, weights
from txtop.worker.loading.source import ModelSource, resolve_model

LLAMA = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 4, "vocab_size": 64,
}  # fmt: skip


def _resolve(directory: Path) -> ModelSource:
    return resolve_model(str(directory), "auto", Allowed(), lambda _: None, lambda *_: None)


@pytest.mark.parametrize(("size", "value"), [("n_layer", 0), ("n_layer", -1), ("vocab_size", 0)])
def test_a_size_below_one_is_refused(tmp_path: Path, size: str, value: int) -> None:
    file = tiny_models.gpt2(tmp_path) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), size: value}))
    names = {"n_layer": "num_hidden_layers"}
    with pytest.raises(RejectedError) as refused:
        architecture.build_config(GPT2LMHeadModel, _resolve(tmp_path))
    assert f"{file}: configuration refused ({names.get(size, size)} is {value})" in str(
        refused.value
    )


@pytest.mark.parametrize("text", ["[]", '{"compile_config": {"mode": "default"}}'])
def test_a_generation_config_that_the_library_refuses(tmp_path: Path, text: str) -> None:
    file = tiny_models.gpt2(tmp_path) / "generation_config.json"
    file.write_text(text)
    with pytest.raises(RejectedError, match="refused") as refused:
        architecture.require_generation_config(_resolve(tmp_path))
    assert str(file) in refused.value.cause and "remove it" in refused.value.hint


@pytest.mark.parametrize("text", [None, "{not json", '{"num_beams": 5, "max_length": 3}'])
def test_a_generation_config_that_is_passed_over(tmp_path: Path, text: str | None) -> None:
    file = tiny_models.gpt2(tmp_path) / "generation_config.json"
    if text is not None:
        file.write_text(text)
    architecture.require_generation_config(_resolve(tmp_path))


@pytest.mark.parametrize(
    "fault",
    [
        {"rope_parameters": {"rope_type": "foo", "factor": 2.0, "rope_theta": 1e4}},
        {"hidden_act": "bar"},
        {"num_key_value_heads": 0},
    ],
)
def test_a_value_that_a_layer_does_not_know_is_the_configurations_fault(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**LLAMA, **fault}))
    source = _resolve(tmp_path)
    config = architecture.build_config(LlamaForCausalLM, source)
    with (
        pytest.raises(RejectedError) as refused,
        architecture.naming_config_faults(LlamaForCausalLM, config, source),
    ):
        weights.build_random_model(LlamaForCausalLM, config, "eager", torch.float32, 0)
    assert f"{file}: configuration refused (no model" in refused.value.cause


def test_another_fault_of_a_load_is_passed_on(tmp_path: Path) -> None:
    source = _resolve(tiny_models.gpt2(tmp_path))
    config = architecture.build_config(GPT2LMHeadModel, source)
    with (
        pytest.raises(KeyError, match="elsewhere"),
        architecture.naming_config_faults(GPT2LMHeadModel, config, source),
    ):
        raise KeyError("elsewhere")
