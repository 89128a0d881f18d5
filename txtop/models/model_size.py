"""The size of a model: its parameters, its KV cache, and the memory that a cell needs."""

from __future__ import annotations

import math
from pathlib import Path

from txtop.models.builtin import find_builtin
from txtop.models.model_config import find_config, find_files
from txtop.models.quantised import describe_scheme
from txtop.models.quantised_files import read_tensors
from txtop.models.weight_files import list_weight_files


def _count_stored_parameters(directory: Path) -> int | None:
    """Count the elements of all tensors in a directory's weights, from their headers."""
    count = 0
    for path in list_weight_files(directory):
        count += sum(math.prod(tensor["shape"]) for tensor in read_tensors(path).values())
    return count or None


def find_parameter_count(model: str) -> int | None:
    """Return the parameters of a model, or None if unknown.

    A built-in name has a published number; of files here the stored elements are counted, unless
    they are packed: several parameters then share one.
    """
    path = find_files(model)
    if describe_scheme(find_config(model) or {}):
        return None
    if path is not None:
        try:
            return _count_stored_parameters(path) if path.is_dir() else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
    builtin = find_builtin(model)
    return builtin.parameters if builtin else None


def has_weights(model: str) -> bool:
    """Return whether `model` is a file of weights, or has files here with some."""
    path = find_files(model)
    try:
        return path is not None and (path.is_file() or bool(list_weight_files(path)))
    except OSError:
        return False
