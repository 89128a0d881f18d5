"""Loads that a library of quantisation makes: of checkpoints that are stored so, or as asked.

Such a model is never moved or cast behind its quantiser's back, and what it became is judged by its
storages, not by its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from txtop.formatting import format_size
from txtop.models import quantised
from txtop.models.precision_needs import parse_quantization
from txtop.plan.cell import Cell
from txtop.plan.modes import DEQUANTISED, get_bits, is_dense
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError
from txtop.worker.loading import quantisers, storages
from txtop.worker.loading.precision import DTYPES
from txtop.worker.loading.source import ModelSource

MORE_THAN_FILES = 1.02
"""The ratio of resident to stored bytes above which a note says both; headers are below 1 %."""


@dataclass(frozen=True)
class LibraryLoad:
    """The arguments of from_pretrained() for a quantiser, and the dtype of the other weights.

    `scheme` is that of the files, if they are `stored` so, without the kernel that is asked for.
    """

    scheme: str
    stored: bool
    dtype: torch.dtype
    arguments: Mapping[str, Any]

    def describe(self) -> str:
        """Return the recipe as the event `load` has it."""
        return f"{'stored as' if self.stored else 'converted at load:'} {self.scheme}"


def find_library_load(cell: Cell, source: ModelSource, device: torch.device) -> LibraryLoad | None:
    """Return how a library loads `source`, None for plain weights and for a recipe of ours.

    Raises `RejectedError` if the cell was planned as another precision than the files have, or if
    the configuration is none that the library takes.
    """
    from txtop.worker.loading import int8

    asked = parse_quantization(cell.quantization)
    stored = source.quantisation
    if source.weights != "pretrained":
        if asked is None and stored is None:
            return None
        reason = "a quantised checkpoint needs its files" if stored else "random weights"
        raise RejectedError(f"{source.label}: {reason}, --quantization reads weights from files")
    if stored is None and asked is None:
        return None
    whole = quantised.merge(stored, asked)
    precision = quantised.name_precision(whole, source.config)
    if precision != cell.precision:
        reason = f"{cell.model} is stored as {quantised.name_scheme(whole)}"
        hint = f"{source.directory} as the model"
        raise RejectedError(f"{reason}, which was not known when the run was planned", hint)
    quantisers.silence_libraries()
    arguments: dict[str, Any] = {"device_map": {"": str(device)}}
    if asked is not None:
        # Of a stored checkpoint Transformers takes the settings of the load alone.
        arguments["quantization_config"] = quantisers.build_library_config(whole)
    if stored is not None:
        dtype = DTYPES[quantised.find_dtype(source.config)]
    else:
        dtype = int8.choose_base_dtype(device)
    scheme = quantised.name_scheme(stored or whole)
    return LibraryLoad(scheme, stored is not None, dtype, arguments)


def build_widened_notes(cell: Cell, stored: Mapping[str, Any]) -> list[str]:
    """Return notes on a checkpoint that is `stored` quantised and became dense for `cell`."""
    became = cell.precision.partition(":")[2]
    notes = [f"stored as {quantised.name_scheme(stored)}, dequantised at load: {became}"]
    method = quantised.find_method(stored)
    asked = parse_quantization(cell.quantization) or {}
    if method is not None and method.widens and not asked.get("dequantize"):
        notes.append(f"the library emulates its rounding in every call: try {method.instead}")
    return notes


def build_size_notes(resident_bytes: int, file_bytes: int) -> list[str]:
    """Return a note if a stored model takes more memory than its files by more than their headers.

    A kernel keeps what it unpacked of scales and zeros, and the order of the inputs twice.
    """
    if not file_bytes or resident_bytes <= MORE_THAN_FILES * file_bytes:
        return []
    sizes = f"{format_size(resident_bytes)} in memory, {format_size(file_bytes)} in the files"
    return [f"weights: {sizes}, {resident_bytes / file_bytes:.2f}x"]


def build_plain(model_class: Any, config: Any) -> Any:
    """Build the dense architecture without memory: packed weights do not tell parameters."""
    import copy

    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    with torch.device("meta"):
        return model_class(plain)


def require_scheme(model: nn.Module, cell: Cell, library: LibraryLoad) -> float | None:
    """Return the share of matrix weights that are stored in the precision of `cell`.

    None for a dequantised load.

    Raises `RejectedError` if the weights are not what the precision says.
    """
    products = storages.list_products(model)
    if is_dense(cell.precision):
        narrow = storages.compute_share(products, 8)
        if cell.precision.startswith(DEQUANTISED) and narrow:
            raise RejectedError(f"{library.scheme} was not dequantised, as it was expected to be")
        return None
    share = storages.compute_share(products, get_bits(cell.precision))
    if not share:
        kinds = ", ".join(storages.sum_by_kind(products))
        reason = f"{library.scheme} was dequantised at load: its matrices are {kinds}"
        where = describe_accelerator(next(model.parameters()).device).label
        raise RejectedError(reason, f"a library or a device other than {where} with kernels for it")
    return share
