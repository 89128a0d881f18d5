"""A quantisation configuration that a cell carries: read from a file, kept as compact JSON."""

from __future__ import annotations

import json
from pathlib import Path

from txtop.errors import UsageError

MAX_CHARACTERS = 4000
_SHOWN_CHARACTERS = 40
# What the name of a scheme says.
_NAMED = {
    "quant_method", "bits", "w_bit", "group_size", "backend", "dequantize", "load_in_4bit",
    "load_in_8bit", "bnb_4bit_quant_type", "config_groups", "quant_type", "weight_block_size",
}  # fmt: skip
_FORM = (
    'the library\'s own class in JSON, as {"quant_method": "bitsandbytes", "load_in_4bit": true}'
)


def parse_quantization(option: str, text: str) -> str:
    """Return the configuration in the file `text`, or `text` itself if it is JSON, as compact JSON.

    The plan then holds all of it, wherever it is resumed. Raises `UsageError`, which names
    `option`.
    """
    if not text.lstrip().startswith("{"):
        try:
            body = Path(text).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UsageError(f"{option}: {text[:80]!a} cannot be read ({reason})", _FORM) from None
        option, text = f"{option} {text[:80]}", body
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{option}: not JSON", _FORM) from None
    if values == {}:
        raise UsageError(f"{option}: an empty configuration", _FORM)
    if not isinstance(values, dict):
        raise UsageError(f"{option}: not a JSON object", _FORM)
    compact = json.dumps(values, sort_keys=True, separators=(",", ":"))
    if len(compact) > MAX_CHARACTERS:
        raise UsageError(f"{option}: over {MAX_CHARACTERS} characters", "only what differs")
    return compact


def label_quantization(text: str) -> str:
    """Return `bitsandbytes nf4` or the like for the configuration `text`; "" for none."""
    if not text:
        return ""
    values = json.loads(text)
    parts = [values.get("quant_method"), values.get("bnb_4bit_quant_type"), values.get("backend")]
    parts += ["dequantised"] if values.get("dequantize") else []
    return " ".join(str(part)[:_SHOWN_CHARACTERS] for part in parts if part) or "quantization"


def label_settings(text: str) -> str:
    """Return what `text` sets beside the scheme, such as `bnb_4bit_use_double_quant=true`.

    "" for none, and where the name of the scheme says it all.
    """
    values = json.loads(text) if text else {}
    return " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"[:_SHOWN_CHARACTERS]
        for key, value in values.items()
        if key not in _NAMED
    )
