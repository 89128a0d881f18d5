"""What arms are called on a screen: by what differs between them."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.plan.cell import Cell

KNOBS = (
    "model",
    "precision",
    "attention",
    "compile",
    "cache",
    "threads",
    "device",
    "weights",
    "batch_size",
    "sequence_length",
    "new_tokens",
)
# Said of all arms only where it is not as usual.
_OMITTED_DEFAULTS = {"compile": "none", "cache": "dynamic", "threads": None, "device": "auto",
          "weights": "auto", "sequence_length": 128, "new_tokens": 32}  # fmt: skip


def label_arms(arms: Sequence[Cell]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(a name for each arm, what all of them share); identical arms go by their precision."""
    differ = [knob for knob in KNOBS if len({getattr(arm, knob) for arm in arms}) > 1]
    named = differ or ["precision"]
    shared = [
        knob
        for knob in KNOBS
        if knob not in named
        and knob != "model"
        and not (knob in _OMITTED_DEFAULTS and getattr(arms[0], knob) == _OMITTED_DEFAULTS[knob])
    ]
    each = tuple(" ".join(format_knob(arm, knob) for knob in named) for arm in arms)
    return each, tuple(format_knob(arms[0], knob) for knob in shared)


def format_knob(arm: Cell, knob: str) -> str:
    """What a knob of a cell is called: `batch 8`, `512 tokens`, `bf16`."""
    value = getattr(arm, knob)
    match knob:
        case "model":
            return arm.model_name
        case "compile":
            return "eager code" if value == "none" else f"compile {value}"
        case "cache":
            return f"{value} cache"
        case "threads":
            return f"{value} thread{'' if value == 1 else 's'}" if value else "usual threads"
        case "batch_size":
            return f"batch {value}"
        case "sequence_length":
            return f"{value} tokens"
        case "new_tokens":
            return f"{value} new"
        case "weights":
            return f"{value} weights"
        case _:
            return str(value)
