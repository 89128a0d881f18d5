"""The paths by which models are named: told from other names, and made to hold in any directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from txtop.errors import UsageError
from txtop.models import checkpoint_faults
from txtop.models.model_config import find_local_path
from txtop.plan.speculation import build_assisted, get_assistant

PATH_STARTS = ("/", "./", "../", "~")


def is_path(model: str) -> bool:
    """Return True for a name that is spelled as a path, be it there or not."""
    return model in (".", "..") or model.startswith(PATH_STARTS) or model.endswith(".gguf")


def make_absolute(model: str) -> str:
    """Return the absolute path of a local model; any other name as it is.

    A plan outlives the directory in which it was made: `resume` may start in another one.
    """
    if not is_path(model) and find_local_path(model) is None:
        return model
    try:
        path = Path(model).expanduser()
        if path.is_absolute() and ".." not in path.parts:
            return str(path)
        # Links above the model are followed, or `..` would be another folder. The model itself may
        # be a link that has the better name.
        parent = Path(os.path.realpath(path.parent))
        return str(parent / path.name if path.name not in ("", "..") else path.resolve())
    except (OSError, ValueError, RuntimeError):
        return model


def require_models(models: Iterable[str]) -> None:
    """Raise `UsageError` for the first path at which there is no model.

    Whether a name stands for one of the Hub is not known before it is fetched.
    """
    for model in models:
        if is_path(model) and find_local_path(model) is None:
            refusal = checkpoint_faults.explain_no_model(model) or (
                f"no model at {model}",
                "a directory with config.json, or a .gguf file",
            )
            raise UsageError(*refusal)


def make_assistant_absolute(speculative: str) -> str:
    """Return the speculation with the absolute path of its assistant, if that is a local model."""
    assistant = get_assistant(speculative)
    return build_assisted(make_absolute(assistant)) if assistant else speculative
