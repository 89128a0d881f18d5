"""The parts of a model that its files lack and that are drawn instead, and what depends on them.

See docs/method.md, "Fidelity".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

OutputPart = Literal["hidden", "pooled", "head"]
"""The hidden states of the last layer, the pooled output, and the output of the head."""
MAX_PARTS = 50
"""The most names that an event carries."""


def name_parts(drawn: Sequence[str], parameters: Iterable[str]) -> list[str]:
    """Name the largest modules whose parameters were all `drawn`, out of all `parameters`.

    Of `layers.2.mlp.up.weight` and all else in that layer this is `layers.2`.
    """
    present = {name[:end] for name in set(parameters) - set(drawn) for end in _list_ends(name)}
    parts = [
        next((name[:end] for end in _list_ends(name) if name[:end] not in present), name)
        for name in drawn
    ]
    return list(dict.fromkeys(parts))


def _list_ends(name: str) -> list[int]:
    """Return where the names of the modules that hold `name` end, the outermost first."""
    return [place for place, letter in enumerate(name) if letter == "."]


def find_dependent_outputs(model: Any, drawn: Iterable[str]) -> frozenset[OutputPart]:
    """Return the outputs of `model` that depend on parameters that were `drawn`.

    The base model makes the hidden states, all but its pooler; a head reads either. In doubt an
    output counts as dependent.
    """
    bare = model.base_model is model
    outside = "" if bare else f"{model.base_model_prefix}."
    outputs: set[OutputPart] = set()
    for name in drawn:
        if not name.startswith(outside):
            outputs.add("head")
        elif "pooler" in name.removeprefix(outside).split("."):
            outputs |= {"pooled", "head"}
        else:
            outputs |= {"hidden", "pooled", "head"}
    return frozenset(outputs - {"head"} if bare else outputs)


def build_drawn_notes(parts: Sequence[str]) -> list[str]:
    """Return the note that names the drawn `parts`, none without any."""
    if not parts:
        return []
    names = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
    return [f"not in the files, so random, and alike in every load: {names}"]
