"""Faults of a model's directory and of its files, each with its cause and the next step.

Found without torch and before loading: the libraries' own words for them name neither.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from txtop.models import weight_files

MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors format."""
MAX_SHARDS = 10_000
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors|\.bin)")
_LFS = b"version https://git-lfs"
_CACHE_FOLDER = re.compile(r"models--([^/]+)")
_FOREIGN = {
    "openvino_model*.bin": "OpenVINO",
    "*.onnx": "ONNX",
    "onnx/*.onnx": "ONNX",
    "tf_model*.h5": "TensorFlow",
    "flax_model*.msgpack": "Flax",
}


class Refusal(NamedTuple):
    """The reason why a model cannot be loaded, and the next step."""

    cause: str
    hint: str


def find_missing_files(directory: Path, *, pickled: bool = False) -> list[str]:
    """Return the names of the files that a checkpoint in shards lacks.

    It is complete when its index says so; without one the names of its shards tell their number. An
    index that cannot be read tells nothing.
    """
    names = {path.name for path in directory.iterdir()}
    entry = weight_files.find_entry(names, pickled=pickled)
    if entry is not None:
        wanted = set()
        if entry.endswith(".json"):
            with suppress(ValueError):
                wanted = set(weight_files.list_shards(directory / entry))
        return sorted(name for name in wanted if not (directory / name).is_file())
    single = weight_files.PICKLED if pickled else weight_files.SAFETENSORS
    shards = [m for m in map(_SHARD.fullmatch, names) if m and m[4] == Path(single).suffix]
    wanted = {f"{single}.index.json"} if shards else set()
    for stem, _, count, suffix in (shard.groups() for shard in shards):
        numbers = range(1, min(int(count), MAX_SHARDS) + 1)
        wanted |= {f"{stem}-{number:05d}-of-{count}{suffix}" for number in numbers}
    return sorted(wanted - names)


def format_missing(names: list[str]) -> str:
    """Name missing files in a few words: the first, and how many more."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def explain_damaged_files(files: Iterable[Path]) -> Refusal | None:
    """Return what is wrong with the first file of weights that is not whole; None if all are."""
    return next(filter(None, map(_explain_damage, files)), None)


def _explain_damage(path: Path) -> Refusal | None:
    again = f"download it again: {path}"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(max(8, len(_LFS)))
            if head.startswith(_LFS):
                hint = f"`git lfs pull` in {path.parent} fetches them"
                return Refusal(f"{path.name} is a Git LFS pointer and not the weights", hint)
            if not size:
                return Refusal(f"{path.name} is empty", again)
            if path.suffix != ".safetensors":
                return None
            length = int.from_bytes(head[:8], "little")
            if length > MAX_HEADER_BYTES:
                return Refusal(f"{path.name} is no file of safetensors", again)
            file.seek(8)
            header = file.read(length)
    except OSError as error:
        return _refuse_unreadable(path, error)
    wanted = 8 + length
    if len(header) == length:
        try:
            tensors = json.loads(header)
            ends = [
                entry["data_offsets"][1]
                for name, entry in tensors.items()
                if name != "__metadata__"
            ]
            if not ends:
                return Refusal(f"{path.name} holds no tensors", again)
            wanted += max(ends)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return Refusal(f"{path.name} has a damaged header", again)
    if size < wanted:
        return Refusal(f"{path.name} is cut short: {size:,} of {wanted:,} bytes", again)
    return None


def _refuse_unreadable(path: Path, error: OSError) -> Refusal:
    hint = "give this user leave to read it, or name a copy"
    return Refusal(f"{path} cannot be read ({error.strerror or type(error).__name__})", hint)


def explain_lacking_weights(directory: Path) -> Refusal | None:
    """Return what a directory without weights of its own holds in their place; None if nothing."""
    if (directory / "adapter_config.json").is_file():
        return _refuse_adapter(directory)
    for pattern, name in _FOREIGN.items():
        if any(directory.glob(pattern)):
            cause = f"{directory} holds {name} files, which Transformers does not read"
            return Refusal(cause, "the model they were made of, or --weights random")
    return None


def _refuse_adapter(directory: Path) -> Refusal:
    base = "its base model"
    try:
        config = json.loads((directory / "adapter_config.json").read_text("utf-8"))
        base = str(config.get("base_model_name_or_path") or base)
    except (OSError, ValueError, AttributeError, RecursionError):
        pass
    hint = f"merge it into {base} (merge_and_unload of peft) and measure that"
    return Refusal(f"{directory} holds an adapter and not a model", hint)


def explain_no_model(model: str) -> Refusal | None:
    """Return why the folder or link that `model` names is none of a model; None if it is neither.

    A folder of the Hub's cache is told by its name alone.
    """
    try:
        path = Path(model).expanduser()
        if match := _CACHE_FOLDER.fullmatch(path.name):
            repository = match[1].replace("--", "/")
            return Refusal(f"{model} is a folder of the Hub's cache", f"{repository} as the model")
        if path.is_symlink() and not path.exists():
            cause = f"{model} is a link to {os.readlink(path)}, which is not there"
            return Refusal(cause, "mount or download what it points to, or correct the link")
        if not path.is_dir():
            return None
        names = {entry.name for entry in path.iterdir()}
        # Of a folder without the permission to search it only the names can be read.
        (path / "config.json").is_file()
    except OSError as error:
        return _refuse_unreadable(Path(model), error)
    except (ValueError, RuntimeError):
        return None
    if "adapter_config.json" in names:
        return _refuse_adapter(path)
    if "model_index.json" in names:
        return Refusal(
            f"{model} holds a pipeline of several models", "the folder of one with config.json"
        )
    return None
