"""A checkpoint that is stored quantised is refused before loading, in whatever scheme it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from txtop.models import model_config, model_size, quantised
from txtop.plan.cell import Cell, Weights
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading.source import resolve_model

SCHEMES: list[tuple[dict[str, Any], str]] = [
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes 4-bit"),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes 8-bit"),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq 4-bit"),
    ({"quant_method": "awq", "bits": 4}, "awq 4-bit"),
    ({"quant_method": "fp8", "activation_scheme": "dynamic"}, "fp8"),
    ({"quant_method": "compressed-tensors", "config_groups": {}}, "compressed-tensors"),
    ({"quant_method": "mxfp4"}, "mxfp4"),
    ({"quant_algo": "NVFP4"}, "NVFP4"),
    ({"bits": 3}, "unknown scheme 3-bit"),
]


def resolve(path: Path, weights: Weights = "auto") -> list[str]:
    return resolve_model(str(path), weights, Allowed(), lambda _: None, lambda *_: None).notes


@pytest.mark.fault(43)
@pytest.mark.parametrize("place", ["quantization_config", "compression_config", "text_config"])
@pytest.mark.parametrize(("asked", "scheme"), SCHEMES, ids=[s[1] for s in SCHEMES])
def test_a_scheme_is_named_and_refused_before_loading(
    asked: dict[str, Any], scheme: str, place: str, tmp_path: Path
) -> None:
    entry = {"quantization_config": asked} if place == "text_config" else asked
    path = tiny_models.drop(tiny_models.gpt2(tmp_path), **{place: entry})
    cell = Cell(id="c", model=str(path))
    refusal = model_config.explain_refusal(cell)
    assert refusal is not None and f"({scheme})" in refusal[0] and "--weights random" in refusal[1]
    with pytest.raises(RejectedError) as refused:
        resolve(path)
    assert (refused.value.cause, refused.value.hint) == refusal
    # Packed elements are no parameters.
    assert model_size.find_parameter_count(str(path)) is None
    (path / "model.safetensors").unlink()
    with pytest.raises(RejectedError, match="stored quantised"):
        resolve(path)
    assert f"({scheme})" in resolve(path, "random")[0]
    assert (
        model_config.explain_refusal(
            Cell(id="c", model=str(path), weights="random", sequence_length=8, new_tokens=4)
        )
        is None
    )


@pytest.mark.fault(43)
def test_files_below_16_bits_are_quantised_without_a_word_in_the_configuration(
    tmp_path: Path,
) -> None:
    path = tiny_models.gpt2(tmp_path)
    assert resolve(path) == []
    header = {"a": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 4)
    with pytest.raises(RejectedError, match="F8_E4M3"):
        resolve(path)


def test_dense_configurations_have_no_scheme() -> None:
    dense: list[dict[str, Any]] = [{}, {"quantization_config": None}, {"bits": 4}]
    for config in [*dense, {"quantization_config": {}}]:
        assert quantised.describe_scheme(config) == ""
    assert quantised.describe_scheme({"quantization_config": "int4"}) == "unknown scheme"
