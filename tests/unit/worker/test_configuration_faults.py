"""A configuration that leaves nothing to measure, or that the library refuses, is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import GPT2LMHeadModel

from support import tiny_models
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading import architecture
from txtop.worker.loading.source import ModelSource, resolve_model


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
