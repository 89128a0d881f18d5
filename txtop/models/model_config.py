"""What is known of a model without torch: built-in configurations, limits, memory needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txtop.models.builtin import Family, find_builtin
from txtop.plan import requests
from txtop.plan.cell import Cell

OFFLINE_NOTICE = "Hugging Face Hub not reachable: offline for the rest of this run"
"""The text of a worker's `log` event; workers started with HF_HUB_OFFLINE=1 do not probe again."""

_ENCODERS = frozenset(
    {
        "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie",
        "esm", "eurobert", "longformer", "megatron-bert", "mobilebert", "modernbert", "mpnet",
        "nomic_bert", "rembert", "roberta", "roberta-prelayernorm", "roformer", "squeezebert",
        "xlm-roberta", "xlm-roberta-xl", "xmod",
    }
)  # fmt: skip
_WITHOUT_POSITION_LIMIT = frozenset({"t5", "mt5", "umt5", "bloom", "mpt", "mamba", "mamba2"})
# These reserve two of their positions for padding.
_SHIFTED = frozenset(
    {"camembert", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"}
)


def find_local_path(model: str) -> Path | None:
    """The directory or .gguf file that `model` means on this machine, or null.

    Comes before built-in names, so it must look like a model: config.json or a .gguf inside.
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


def read_local_config(model: str) -> dict[str, Any] | None:
    """config.json of a local directory; null where there is none or it is no configuration."""
    path = find_local_path(model)
    if path is None or path.is_file():
        return None
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) and _is_sound(config) else None


def _is_sound(config: Mapping[str, Any]) -> bool:
    """Whether what families are told by is of the kind that it should be."""
    named, classes = config.get("model_type"), config.get("architectures")
    return isinstance(named, str | None) and isinstance(classes, list | None)


def find_config(model: str) -> dict[str, Any] | None:
    """The configuration as far as it is known without torch and network, `model_type` included."""
    config = read_local_config(model)
    if config is None and find_local_path(model) is None and (known := find_builtin(model)):
        config = {"model_type": known.model_type, **known.config}
    return config


def detect_family(config: Mapping[str, Any]) -> Family:
    """The family that a config.json spells."""
    model_type = config.get("model_type")
    if config.get("is_encoder_decoder") or model_type in ("t5", "mt5", "umt5", "longt5"):
        return "seq2seq"
    if model_type in _ENCODERS and not config.get("is_decoder"):
        return "encoder"
    if any(str(name).endswith("ForMaskedLM") for name in config.get("architectures") or ()):
        return "encoder"
    return "causal"


def find_family(model: str) -> Family | None:
    """The family of a built-in name or a local directory, else null."""
    config = find_config(model)
    return None if config is None else detect_family(config)


def find_max_positions(config: Mapping[str, Any]) -> int | None:
    """Positions that the configuration allows; null where they are relative or not stated."""
    model_type = config.get("model_type")
    if model_type in _WITHOUT_POSITION_LIMIT:
        return None
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"):
        value = config.get(key)
        if isinstance(value, int) and value > 0:
            return value - 2 if model_type in _SHIFTED else value
    return None


def find_context_length(model: str) -> int | None:
    """The longest context in tokens of a built-in name or a local directory, where it is known."""
    config = find_config(model)
    return None if config is None else find_max_positions(config)


def explain_too_long(cell: Cell, kind: Family, positions: int | None) -> tuple[str, str] | None:
    """Reason and hint if `cell` needs more positions than its model has."""
    if positions is None:
        return None
    prompt, new = requests.compute_max_tokens(cell)
    if kind == "causal" and prompt + new > positions:
        asked, most = f"{prompt} + {new} new tokens", positions - new
    elif prompt > positions:
        asked, most = f"{prompt} tokens", positions
    elif kind == "seq2seq" and new > positions:
        return (
            f"{new} new tokens are longer than the context of {cell.model} ({positions})",
            f"--new-tokens of at most {positions}",
        )
    else:
        return None
    hint = f"--sequence-lengths of at most {most}" if most > 0 else "fewer --new-tokens"
    return f"{asked} are longer than the context of {cell.model} ({positions})", hint


def explain_refusal(cell: Cell) -> tuple[str, str] | None:
    """Why `cell` cannot be measured, as reason and hint, as far as is known before loading it."""
    config = find_config(cell.model)
    if config is None:
        return None
    return explain_too_long(cell, detect_family(config), find_max_positions(config))
