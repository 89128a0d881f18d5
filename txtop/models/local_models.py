"""The models whose weights are on this machine's disk, in the Hub's cache or in the current
directory; without the Hub."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from txtop.models.weight_files import find_entry

_REPOSITORY = "models--"


def get_hub_cache() -> Path:
    """Return the folder of the Hub's cache, from the variables that huggingface_hub reads."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(name):
            return Path(folder).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "huggingface" / "hub"


def find_snapshot(model: str) -> Path | None:
    """Return the files of a repository that the Hub's cache has of its newest known commit.

    It is what is known of the model here, with weights or without; None without a configuration.
    """
    folder = get_hub_cache() / f"{_REPOSITORY}{model.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        snapshot = folder / "snapshots" / commit
        is_whole = commit.isalnum() and (snapshot / "config.json").is_file()
    except (OSError, ValueError):
        return None
    return snapshot if is_whole else None


def list_cached_models() -> list[str]:
    """Return the names of the repositories with a configuration and weights in the Hub's cache."""
    try:
        repositories = sorted(get_hub_cache().glob(f"{_REPOSITORY}*"))
    except OSError:
        return []
    return [
        repository.name.removeprefix(_REPOSITORY).replace("--", "/", 1)
        for repository in repositories
        if _has_weights(repository)
    ]


def list_folder_models(folder: Path) -> list[str]:
    """Return the paths of the models in a folder: directories with weights, and .gguf files."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [f"./{entry.name}" for entry in entries if _is_model(entry)]


def _is_model(entry: Path) -> bool:
    """Return True for what a path may name; a sharded .gguf is named by its directory."""
    with suppress(OSError):
        if entry.is_file():
            return entry.suffix == ".gguf"
        if entry.is_dir():
            names = {path.name for path in entry.iterdir()}
            return _is_whole(names) or any(name.endswith(".gguf") for name in names)
    return False


def _is_whole(names: set[str]) -> bool:
    """Return True if a configuration and the entry to its weights are among the files."""
    entry = find_entry(names) or find_entry(names, pickled=True)
    return "config.json" in names and entry is not None


def _has_weights(repository: Path) -> bool:
    """Return True if a snapshot is whole.

    A link to a file that was deleted, or whose download broke off, does not count.
    """
    with suppress(OSError):
        for snapshot in (repository / "snapshots").iterdir():
            if _is_whole({path.name for path in snapshot.iterdir() if path.exists()}):
                return True
    return False
