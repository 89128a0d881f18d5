"""Directories and files that are no whole checkpoint: file, cause and next step of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import tiny_models
from txtop.models import checkpoint_faults
from txtop.plan.plan import Allowed
from txtop.worker.failures import AbsentError
from txtop.worker.loading import source

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 534194\n"
INDEX = "model.safetensors.index.json"
SHARDS = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]


def shard(folder: Path, kept: int = 3, *, index: bool = True) -> Path:
    """Make a checkpoint of three shards, of which the first `kept` are there."""
    tiny_models.gpt2(folder)
    whole = folder / "model.safetensors"
    for name in SHARDS[:kept]:
        (folder / name).write_bytes(whole.read_bytes())
    whole.unlink()
    if index:
        weight_map = {f"w{n}": name for n, name in enumerate(SHARDS)}
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("kept", "index", "missing"),
    [
        (3, True, []),
        (2, True, SHARDS[2:]),
        (1, True, SHARDS[1:]),
        (0, True, SHARDS),
        (0, False, []),
        (3, False, [INDEX]),
        (1, False, [*SHARDS[1:], INDEX]),
    ],
)
def test_a_checkpoint_is_complete_when_its_index_says_so(
    tmp_path: Path, kept: int, index: bool, missing: list[str]
) -> None:
    shard(tmp_path, kept, index=index)
    assert checkpoint_faults.find_missing_files(tmp_path) == missing
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert checkpoint_faults.find_missing_files(tmp_path) == []


@pytest.mark.fault(47)
def test_pickled_shards_and_a_broken_index(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model-00001-of-00002.bin").write_bytes(b"x")
    missing = ["pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"]
    assert checkpoint_faults.find_missing_files(tmp_path, pickled=True) == missing
    for text in ("{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../../etc/passwd"}}'):
        (tmp_path / INDEX).write_text(text)
        assert checkpoint_faults.find_missing_files(tmp_path) == []


def _write(name: str, content: str | bytes) -> Callable[[Path], object]:
    body = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(body)


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _replace_weights(**files: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)

    return replace


def _add_bom(folder: Path) -> None:
    file = folder / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


ADAPTER = {"adapter_config__json": '{"base_model_name_or_path": "gpt2"}'}
FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "LFS pointer": (_write("model.safetensors", LFS), "model.safetensors is a Git LFS", "lfs pull"),
    "cut short": (_cut, "model.safetensors is cut short: ", "download it again"),
    "empty": (_write("model.safetensors", b""), "model.safetensors is empty", "download it again"),
    "cut in its length": (_write("model.safetensors", b"\1"), "is cut short", "download it again"),
    "other file": (_write("model.safetensors", b"<html>" * 9), "no file of saf", "download"),
    "damaged header": (
        _write("model.safetensors", b"\2" + b"\0" * 7 + b"[]"),
        "damaged header",
        "download it again",
    ),
    "no tensors": (
        _write("model.safetensors", b"\2" + b"\0" * 7 + b"{}"),
        "model.safetensors holds no tensors",
        "download it again",
    ),
    "OpenVINO": (_replace_weights(openvino_model__bin="x"), "OpenVINO files", "--weights random"),
    "ONNX": (_replace_weights(model__onnx="x"), "ONNX files", "--weights random"),
    "TensorFlow": (_replace_weights(tf_model__h5="x"), "TensorFlow files", "--weights random"),
    "Flax": (_replace_weights(flax_model__msgpack="x"), "Flax files", "--weights random"),
    "adapter": (
        _replace_weights(**ADAPTER, adapter_model__safetensors="x"),
        "holds an adapter and not a model",
        "merge it into gpt2",
    ),
    "byte order mark": (_add_bom, "config.json begins with a byte order mark", "UTF-8"),
    "no JSON": (_write("config.json", "{"), "config.json is not JSON", "correct it"),
    "no UTF-8": (_write("config.json", b"\xff{}"), "config.json is not UTF-8", "correct it"),
    "no object": (_write("config.json", "[]"), "config.json is not a JSON object", "correct it"),
    "shard": (lambda folder: shard(folder, 2), f"lacks files of its weights: {SHARDS[2]}", "rest"),
}


def _resolve(model: Path | str, weights: str = "auto") -> source.ModelSource:
    return source.resolve_model(
        str(model),
        weights,  # type: ignore[arg-type]
        Allowed(pickles=True),
        lambda _: None,
        lambda *_: None,
    )


@pytest.mark.fault(58)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_directory_is_refused_with_file_cause_and_next_step(
    tmp_path: Path, fault: str
) -> None:
    spoil, cause, hint = FAULTS[fault]
    spoil(tiny_models.gpt2(tmp_path))
    with pytest.raises(AbsentError) as refused:
        _resolve(tmp_path)
    assert cause in refused.value.cause and hint in refused.value.hint
    assert "\n" not in str(refused.value)


def test_what_lies_beside_whole_weights_does_not_matter(tmp_path: Path) -> None:
    tiny_models.gpt2(tmp_path)
    for name in ("adapter_config.json", "adapter_model.safetensors", "model.onnx", "tf_model.h5"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "openvino_model.bin").write_bytes(b"x")
    resolved = _resolve(tmp_path)
    assert [file.name for file in resolved.weight_files] == ["model.safetensors"]


@pytest.mark.fault(58)
def test_folders_that_are_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name, file in (("lora", "adapter_config.json"), ("pipeline", "model_index.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    (tmp_path / "locked").mkdir()
    (tmp_path / "plain" / "config.json").mkdir(parents=True)
    (tmp_path / "unmounted").symlink_to("/nonexistent/disk")
    (tmp_path / "round").symlink_to("round")
    for model, cause, hint in (
        ("lora", "lora holds an adapter", "merge it into its base model"),
        ("./pipeline", "pipeline of several models", "config.json"),
        (
            "models--acme--whole-model",
            "a folder of the Hub's cache",
            "acme/whole-model as",
        ),
        ("/x/models--gpt2", "a folder of the Hub's cache", "gpt2 as the model"),
        ("unmounted", "unmounted is a link to /nonexistent/disk, which is", "correct the link"),
        ("./round", "./round is a link to round, which is not there", "correct the link"),
        ("plain", "plain is a folder without a file config.json", ""),
    ):
        with pytest.raises(AbsentError) as refused:
            _resolve(model)
        assert cause in refused.value.cause and hint in refused.value.hint

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(AbsentError, match=r"locked cannot be read .Permission denied"):
        _resolve("locked")


@pytest.mark.fault(58)
def test_a_file_of_weights_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tiny_models.gpt2(tmp_path) / "model.safetensors"
    plain = Path.open

    def refuse(path: Path, *arguments: object, **named: object) -> object:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AbsentError, match=r"model.safetensors cannot be read") as refused:
        _resolve(tmp_path)
    assert refused.value.hint
