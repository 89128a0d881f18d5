"""Read a model's configuration without torch: its family, its limits, and why it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txtop.models.builtin import Family, find_builtin
from txtop.models.dimensions import find_first_integer
from txtop.models.local_models import find_snapshot
from txtop.models.purpose import detect_family
from txtop.plan import requests
from txtop.plan.cell import Cell

OFFLINE_NOTICE = "Hugging Face Hub not reachable: offline for the rest of this run"
"""The text of a worker's `log` event. Later workers get HF_HUB_OFFLINE=1 and do not probe."""
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
# With one of these positions are rotations, of which none is kept for padding.
_ROTARY = ("rope_parameters", "rope_theta", "rope_scaling")


def find_local_path(model: str) -> Path | None:
    """Return the directory or .gguf file that `model` means on this machine, or None.

    Local paths come before built-in names, so a directory must look like a model: config.json or a
    .gguf inside.
    """
    try:
        path = Path(model).expanduser()
        if path.suffix == ".gguf" and path.is_file():
            return path
        if path.is_dir() and ((path / "config.json").is_file() or any(path.glob("*.gguf"))):
            return path
    except (OSError, ValueError, RuntimeError):
        pass
    return None


def find_files(model: str) -> Path | None:
    """Return the directory or .gguf file of a local path or of a Hub name in the cache, or None.

    A built-in name has none, whatever the cache holds: its architecture is what is known of it.
    """
    if (path := find_local_path(model)) is not None or find_builtin(model) is not None:
        return path
    return find_snapshot(model)


def read_local_config(model: str) -> dict[str, Any] | None:
    """Return config.json of files here, or None if it is missing or not a configuration."""
    path = find_files(model)
    if path is None or path.is_file():
        return None
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) and _is_sound(config) else None


def _is_sound(config: Mapping[str, Any]) -> bool:
    """Return True if the fields that `find_purpose` reads have the right types."""
    model_type, classes = config.get("model_type"), config.get("architectures")
    return isinstance(model_type, str | None) and isinstance(classes, list | None)


def find_config(model: str) -> dict[str, Any] | None:
    """Return the configuration of files here or of a built-in name, or None.

    It includes `model_type`.
    """
    config = read_local_config(model)
    if config is None and find_local_path(model) is None and (builtin := find_builtin(model)):
        config = {"model_type": builtin.model_type, **builtin.config}
    return config


def find_family(model: str) -> Family | None:
    """Return the family of files here or of a built-in name, or None."""
    config = find_config(model)
    return None if config is None else detect_family(config, find_files(model))


def find_max_positions(config: Mapping[str, Any]) -> int | None:
    """Return the positions that the configuration states; None if relative or not stated.

    A model may keep some of them for padding: only the loaded model tells how many.
    """
    biased = config.get("attn_config")
    if isinstance(biased, dict) and biased.get("alibi"):
        return None
    keys = _POSITIONS[:1] if "relative_attention_num_buckets" in config else _POSITIONS
    return find_first_integer(config, *keys)


def find_context_length(model: str) -> int | None:
    """Return the longest context in tokens of files here or of a built-in name, or None."""
    config = find_config(model)
    return None if config is None else find_max_positions(config)


def explain_too_long(
    cell: Cell,
    kind: Family,
    positions: int | None,
    decoder_positions: int | None,
    *,
    exact: bool = True,
) -> tuple[str, str] | None:
    """Return reason and hint if `cell` needs more than `positions`, else None.

    An encoder-decoder writes up to `decoder_positions`. The hint has a number if they are `exact`.
    """
    if positions is None:
        return None
    prompt, new = requests.compute_max_tokens(cell)
    if kind == "causal" and prompt + new > positions:
        length, most = f"{prompt} + {new} new tokens", positions - new
    elif prompt > positions:
        length, most = f"{prompt} tokens", positions
    elif kind == "seq2seq" and decoder_positions is not None and new > decoder_positions:
        return (
            f"{new} new tokens are longer than the context of {cell.model} ({decoder_positions})",
            f"--new-tokens of at most {decoder_positions}" if exact else "fewer --new-tokens",
        )
    else:
        return None
    hint = f"--sequence-lengths of at most {most}" if exact else "shorter --sequence-lengths"
    hint = hint if most > 0 else "fewer --new-tokens"
    return f"{length} are longer than the context of {cell.model} ({positions})", hint


def explain_refusal(cell: Cell) -> tuple[str, str] | None:
    """Return reason and hint if `cell` is known to be refused before it is loaded, else None."""
    config = find_config(cell.model)
    if config is None:
        return None
    if cell.prompts is not None:
        # How long they are is for a tokenizer to say.
        return None
    path, positions = find_files(cell.model), find_max_positions(config)
    exact = path is None or any(key in config for key in _ROTARY)
    family = detect_family(config, path)
    return explain_too_long(cell, family, positions, positions, exact=exact)
