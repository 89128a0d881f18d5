"""The weights of a directory are what its index names, and each is counted once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from support import tiny_models
from txtop.forecast.memory import forecast_memory
from txtop.models import model_size, weight_files
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading.source import ModelSource, resolve_model

PARAMETERS = 9152


def shard(directory: Path) -> Path:
    """Split the weights into two shards and an index."""
    tensors = sorted(load_file(directory / "model.safetensors").items())
    parts = {"model-00001-of-00002.safetensors": dict(tensors[::2])}
    parts["model-00002-of-00002.safetensors"] = dict(tensors[1::2])
    for name, part in parts.items():
        save_file(part, directory / name, metadata={"format": "pt"})
    names = {tensor: name for name, part in parts.items() for tensor in part}
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    (directory / "model.safetensors").unlink()
    return directory


def resolve(path: Path) -> ModelSource:
    return resolve_model(str(path), "auto", Allowed(), lambda _: None, lambda *_: None)


@pytest.mark.fault(56)
@pytest.mark.parametrize("beside", ["consolidated", "model.fp16", "adapter_model", "model-00003"])
@pytest.mark.parametrize("sharded", [False, True])
def test_what_lies_beside_the_weights_is_not_counted(
    beside: str, sharded: bool, tmp_path: Path
) -> None:
    path = tiny_models.gpt2(tmp_path / "m")
    plain = forecast_memory(Cell(id="c", model=str(path)))
    shutil.copy(path / "model.safetensors", tmp_path / "copy")
    if sharded:
        shard(path)
    size = resolve(path).weight_bytes
    shutil.copy(tmp_path / "copy", path / f"{beside}.safetensors")
    source = resolve(path)
    assert source.weights == "pretrained" and source.weight_bytes == size
    assert [file.name for file in source.weight_files] == (
        [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
        if sharded
        else ["model.safetensors"]
    )
    assert model_size.find_parameter_count(str(path)) == PARAMETERS
    assert forecast_memory(Cell(id="c", model=str(path))) == plain


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "cannot be read"),
        ('{"weight_map": []}', "cannot be read"),
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "not beside it"),
    ],
)
def test_an_index_that_cannot_be_followed_is_never_random_weights(
    index: str, message: str, tmp_path: Path
) -> None:
    path = shard(tiny_models.gpt2(tmp_path))
    (path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(RejectedError, match=message):
        resolve(path)
    assert model_size.find_parameter_count(str(path)) is None


def test_weights_of_another_layout_are_refused_by_name(tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path)
    (path / "model.safetensors").rename(path / "consolidated.safetensors")
    with pytest.raises(RejectedError, match=r"holds consolidated\.safetensors, and no model"):
        resolve(path)


def test_the_single_file_comes_before_the_index() -> None:
    both = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}
    assert weight_files.find_entry(both) == "model.safetensors"
    assert weight_files.find_entry(both, pickled=True) == "pytorch_model.bin"
    assert weight_files.find_entry({"consolidated.safetensors"}) is None
