"""The files of a directory that hold the weights which transformers loads.

A repository may hold the same weights twice, as `consolidated.safetensors` beside its shards: only
what the index names, or the single file, counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"


def find_entry(names: Collection[str], *, pickled: bool = False) -> str | None:
    """Return the file by which transformers loads weights out of `names`, None without one.

    It is the single file, else the index of several.
    """
    single = PICKLED if pickled else SAFETENSORS
    return next((name for name in (single, f"{single}.index.json") if name in names), None)


def list_shards(index: Path) -> list[str]:
    """Return the names of the files that an index names, each once, in order.

    Raises `ValueError` if it cannot be read or names something outside its directory.
    """
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({str(name) for name in files})
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{index.name} cannot be read ({type(error).__name__})") from None
    if outside := [name for name in names if Path(name).name != name]:
        raise ValueError(f"{index.name} names {outside[0][:80]!a}, which is not beside it")
    return names


def list_weight_files(directory: Path, *, pickled: bool = False) -> list[Path]:
    """Return the paths of the weights of `directory`, those that are missing included.

    Raises `OSError`, and `ValueError` for an index that cannot be read.
    """
    entry = find_entry({path.name for path in directory.iterdir()}, pickled=pickled)
    if entry is None:
        return []
    names = list_shards(directory / entry) if entry.endswith(".json") else [entry]
    return [directory / name for name in names]
