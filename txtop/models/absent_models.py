"""The models that a cell names and that are not here, as far as this machine alone can tell.

Whether the Hub has a name is for a worker to ask: `needs_hub` says for which cells it must.
"""

from __future__ import annotations

import re

from txtop.models import builtin
from txtop.models.checkpoint_faults import Refusal, explain_no_model
from txtop.models.model_config import find_local_path
from txtop.models.model_path import is_path
from txtop.plan.cell import Cell

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


def explain_absent(cell: Cell) -> Refusal | None:
    """Return why the model of `cell`, or its assistant, is nowhere; None if either may be there."""
    if refusal := explain_absent_name(cell.model):
        return refusal
    if cell.assistant and (refusal := explain_absent_name(cell.assistant)):
        return Refusal(f"the assistant of {cell.model_name}: {refusal.cause}", refusal.hint)
    return None


def explain_absent_name(model: str) -> Refusal | None:
    """Return why no model has the name `model`; None if one has, or the Hub has to be asked."""
    if is_known(model):
        return None
    if refusal := explain_no_model(model):
        return refusal
    if is_path(model):
        return Refusal(f"no model at {model}", "a directory with config.json, or a .gguf file")
    if not _HUB_ID.fullmatch(model):
        return Refusal(f"{model} is not the name of a model", suggest_name(model))
    return None


def is_known(model: str) -> bool:
    """Return whether `model` is on this machine by its path, or built in."""
    return find_local_path(model) is not None or builtin.find_builtin(model) is not None


def needs_hub(cell: Cell) -> bool:
    """Return whether only the Hub or its cache can tell if the models of `cell` exist."""
    return not all(map(is_known, filter(None, (cell.model, cell.assistant))))


def suggest_name(model: str, hint: str = "") -> str:
    """Return a hint at the built-in name nearest to `model`, or at the forms of names."""
    if near := builtin.suggest_builtin(model):
        return f"did you mean {near}?" + (f" Or: {hint}" if hint else "")
    return hint or "a local path, or a built-in name such as gpt2"
