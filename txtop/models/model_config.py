"""What is known of a model without torch: built-in configurations, limits, memory needed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec

from txtop.plan import requests
from txtop.plan.cell import Cell

Family = Literal["causal", "encoder", "seq2seq"]
BYTES_PER_WEIGHT = {"fp32": 4, "fp16": 2, "bf16": 2} | dict.fromkeys(
    ("int8", "int8:weight-only", "int8:dynamic", "int8:torch-dynamic"), 1
)
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


class Builtin(msgspec.Struct, frozen=True, kw_only=True):
    """A published architecture. `config` is what its config class is called with."""

    name: str
    hub_id: str
    model_type: str
    family: Family
    config: dict[str, Any]
    max_positions: int | None
    parameters: int


def _gpt2(name: str, width: int, layers: int, heads: int, parameters: int) -> Builtin:
    config = {"vocab_size": 50257, "n_positions": 1024, "n_embd": width, "n_layer": layers}
    config |= {"n_head": heads, "bos_token_id": 50256, "eos_token_id": 50256}
    return Builtin(
        name=name, hub_id=f"openai-community/{name}", model_type="gpt2", family="causal",
        config=config, max_positions=1024, parameters=parameters,
    )  # fmt: skip


def _bert(hub_id: str, width: int, layers: int, heads: int, parameters: int) -> Builtin:
    config = {"vocab_size": 30522, "hidden_size": width, "num_hidden_layers": layers}
    config |= {"num_attention_heads": heads, "intermediate_size": 4 * width}
    config |= {"max_position_embeddings": 512}
    return Builtin(
        name=hub_id.rpartition("/")[2], hub_id=hub_id, model_type="bert", family="encoder",
        config=config, max_positions=512, parameters=parameters,
    )  # fmt: skip


def _t5(name: str, width: int, inner: int, layers: int, heads: int, parameters: int) -> Builtin:
    config = {"vocab_size": 32128, "d_model": width, "d_kv": 64, "d_ff": inner, "num_heads": heads}
    config |= {"num_layers": layers, "num_decoder_layers": layers, "decoder_start_token_id": 0}
    return Builtin(
        name=name, hub_id=f"google-t5/{name}", model_type="t5", family="seq2seq",
        config=config, max_positions=None, parameters=parameters,
    )  # fmt: skip


def _decoder(
    hub_id: str,
    model_type: str,
    parameters: int,
    positions: int,
    rope: dict[str, Any],
    **config: Any,
) -> Builtin:
    config |= {"max_position_embeddings": positions, "rope_parameters": rope}
    config |= {"tie_word_embeddings": True}
    return Builtin(
        name=hub_id.rpartition("/")[2], hub_id=hub_id, model_type=model_type, family="causal",
        config=config, max_positions=positions, parameters=parameters,
    )  # fmt: skip


BUILTIN: tuple[Builtin, ...] = (
    _gpt2("gpt2", 768, 12, 12, 124_439_808),
    _gpt2("gpt2-medium", 1024, 24, 16, 354_823_168),
    _gpt2("gpt2-large", 1280, 36, 20, 774_030_080),
    _bert("google-bert/bert-base-uncased", 768, 12, 12, 109_482_240),
    _bert("google-bert/bert-large-uncased", 1024, 24, 16, 335_141_888),
    _bert("google/bert_uncased_L-4_H-512_A-8", 512, 4, 8, 28_763_648),
    _t5("t5-small", 512, 2048, 6, 8, 60_506_624),
    _t5("t5-base", 768, 3072, 12, 12, 222_903_552),
    _t5("t5-large", 1024, 4096, 24, 16, 737_668_096),
    _decoder(
        "HuggingFaceTB/SmolLM2-135M", "llama", 134_515_008, 8192,
        {"rope_type": "default", "rope_theta": 100_000.0},
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, head_dim=64, rms_norm_eps=1e-5,
        bos_token_id=0, eos_token_id=0,
    ),
    _decoder(
        "Qwen/Qwen3-0.6B", "qwen3", 596_049_920, 40960,
        {"rope_type": "default", "rope_theta": 1_000_000.0},
        vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
        num_attention_heads=16, num_key_value_heads=8, head_dim=128, rms_norm_eps=1e-6,
        bos_token_id=151643, eos_token_id=151645,
    ),
    _decoder(
        "meta-llama/Llama-3.2-1B", "llama", 1_235_814_400, 131072,
        {
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
        },
        vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, head_dim=64, rms_norm_eps=1e-5,
        bos_token_id=128000, eos_token_id=128001,
    ),
)  # fmt: skip
_BY_NAME = {key.casefold(): model for model in BUILTIN for key in (model.name, model.hub_id)}


def builtin(model: str) -> Builtin | None:
    """The built-in configuration of that bare name or full Hub id, upper and lower case alike."""
    return _BY_NAME.get(model.casefold())


def nearest(model: str) -> str | None:
    """The built-in name that looks most like `model`, for "did you mean"."""
    wanted = model.casefold().rpartition("/")[2]
    names = [model.name.casefold() for model in BUILTIN]
    longer = [name for name in names if wanted and name.startswith(wanted)]
    found = longer or get_close_matches(wanted, names, n=1, cutoff=0.6)
    return _BY_NAME[found[0]].name if found else None


def local_path(model: str) -> Path | None:
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


def local_config(model: str) -> dict[str, Any] | None:
    """config.json of a local directory; null where there is none or it is no configuration."""
    path = local_path(model)
    if path is None or path.is_file():
        return None
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) and _sound(config) else None


def _sound(config: Mapping[str, Any]) -> bool:
    """Whether what families are told by is of the kind that it should be."""
    named, classes = config.get("model_type"), config.get("architectures")
    return isinstance(named, str | None) and isinstance(classes, list | None)


def config_of(model: str) -> dict[str, Any] | None:
    """The configuration as far as it is known without torch and network, `model_type` included."""
    config = local_config(model)
    if config is None and local_path(model) is None and (known := builtin(model)):
        config = {"model_type": known.model_type, **known.config}
    return config


def family_of(config: Mapping[str, Any]) -> Family:
    """The family that a config.json spells."""
    model_type = config.get("model_type")
    if config.get("is_encoder_decoder") or model_type in ("t5", "mt5", "umt5", "longt5"):
        return "seq2seq"
    if model_type in _ENCODERS and not config.get("is_decoder"):
        return "encoder"
    if any(str(name).endswith("ForMaskedLM") for name in config.get("architectures") or ()):
        return "encoder"
    return "causal"


def family(model: str) -> Family | None:
    """The family of a built-in name or a local directory, else null."""
    config = config_of(model)
    return None if config is None else family_of(config)


def positions_of(config: Mapping[str, Any]) -> int | None:
    """Positions that the configuration allows; null where they are relative or not stated."""
    model_type = config.get("model_type")
    if model_type in _WITHOUT_POSITION_LIMIT:
        return None
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"):
        value = config.get(key)
        if isinstance(value, int) and value > 0:
            return value - 2 if model_type in _SHIFTED else value
    return None


def context_length(model: str) -> int | None:
    """The longest context in tokens of a built-in name or a local directory, where it is known."""
    config = config_of(model)
    return None if config is None else positions_of(config)


def too_long(cell: Cell, kind: Family, positions: int | None) -> tuple[str, str] | None:
    """Reason and hint if `cell` needs more positions than its model has."""
    if positions is None:
        return None
    prompt, new = requests.longest(cell)
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


def refuse(cell: Cell) -> tuple[str, str] | None:
    """Why `cell` cannot be measured, as reason and hint, as far as is known before loading it."""
    config = config_of(cell.model)
    if config is None:
        return None
    return too_long(cell, family_of(config), positions_of(config))


def _stored_parameters(directory: Path) -> int | None:
    """Elements of all tensors in the directory's safetensors files, from their headers."""
    count = 0
    for path in sorted(directory.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), 100_000_000)))
        shapes = [tensor["shape"] for name, tensor in header.items() if name != "__metadata__"]
        count += sum(math.prod(shape) for shape in shapes)
    return count or None


def parameter_count(model: str) -> int | None:
    """Parameters of a built-in name, or elements stored in a local directory, where known."""
    path = local_path(model)
    if path is not None:
        try:
            return _stored_parameters(path) if path.is_dir() else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
    known = builtin(model)
    return known.parameters if known else None


def _first(config: Mapping[str, Any], *keys: str) -> int | None:
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def kv_values_per_token(config: Mapping[str, Any]) -> int | None:
    """2 x layers x kv_heads x head_dim of the decoder; null where that is not stated."""
    layers = _first(config, "num_decoder_layers", "num_hidden_layers", "n_layer", "num_layers")
    heads = _first(config, "num_attention_heads", "n_head", "num_heads", "decoder_attention_heads")
    width = _first(config, "hidden_size", "n_embd", "d_model")
    if layers is None or heads is None or width is None:
        return None
    head_dim = _first(config, "head_dim", "d_kv") or width // heads
    return 2 * layers * (_first(config, "num_key_value_heads") or heads) * head_dim


def predicted_bytes(cell: Cell) -> int | None:
    """Weights in the cell's precision plus the KV cache at its full length; null where unknown.
    Of a server: with the longest requests in every slot.

    An encoder-decoder caches the encoder's positions too, once, for its cross attention.
    """
    config, parameters = config_of(cell.model), parameter_count(cell.model)
    if config is None or parameters is None:
        return None
    size = BYTES_PER_WEIGHT[cell.precision]
    if family_of(config) == "encoder":
        return parameters * size
    per_token = kv_values_per_token(config)
    if per_token is None:
        return None
    tokens = cell.slots * sum(requests.longest(cell))
    return size * (parameters + per_token * tokens)
