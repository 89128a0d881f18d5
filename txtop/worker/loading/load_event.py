"""The event `load`: what was loaded, on what, and how."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

from txtop.models import quantised
from txtop.plan.cell import Cell
from txtop.plan.modes import DEQUANTISED
from txtop.protocol import events
from txtop.system import libraries
from txtop.worker.device import identify_device

if TYPE_CHECKING:
    from txtop.worker.loading.loaded_model import LoadedModel


def build_event(loaded: LoadedModel, cell: Cell, worker: str) -> events.ModelLoaded:
    """Build the event `load` without its times."""
    from txtop.worker.loading import drawn_parts, numerics, precision, prequantised, storages

    stored = loaded.source.quantisation if loaded.source.weights == "pretrained" else None
    model, device, converted = loaded.model, loaded.device, loaded.converted
    name, identity = identify_device(device)
    notes = [*loaded.source.notes, *loaded.notes]
    is_cut = cell.ranks > 1
    weight_bytes = (
        sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        if is_cut
        else storages.count_stored_bytes(model)
    )
    if stored and cell.precision.startswith(f"{DEQUANTISED}:"):
        notes += prequantised.build_widened_notes(cell, stored)
    if stored:
        notes += prequantised.build_size_notes(weight_bytes, loaded.source.weight_bytes)
    notes += drawn_parts.build_drawn_notes(loaded.drawn_parts)
    notes += precision.build_precision_notes(model, cell, loaded.dtype, converted, device)
    return events.ModelLoaded(
        t_ns=0,
        cell=cell.id,
        worker=worker,
        load_s=0.0,
        phases={},
        family=loaded.family,
        model_class=type(model).__name__,
        weights="partial" if loaded.drawn else loaded.source.weights,
        drawn=list(loaded.drawn_parts[: drawn_parts.MAX_PARTS]),
        source=loaded.source.label,
        parameters=loaded.counted.all,
        weight_bytes=weight_bytes,
        page_cache=loaded.page_cache,
        device=device.type
        if device.type == "cpu" or not cell.device.startswith(f"{device.type}:")
        else cell.device,
        device_name=name,
        device_id=identity,
        threads=loaded.threads,
        attention=loaded.attention,
        recipe=loaded.recipe,
        converted_share=converted,
        scheme=quantised.name_scheme(stored) if stored else "",
        products={} if is_cut else storages.sum_by_kind(storages.list_products(model)),
        geometry=loaded.geometry,
        versions=_read_versions(),
        notes=notes,
        capability=numerics.read_capability(device),
        environment=numerics.read_environment(device),
        ranks=loaded.ranks,
        context=loaded.stated_positions,
    )


def _read_versions() -> dict[str, str]:
    import torch
    import transformers

    versions = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    # Only those that were imported had a part in it.
    for name in libraries.QUANTISERS:
        if name.replace("-", "_") in sys.modules and (number := libraries.find_version(name)):
            versions[name] = number
    return versions
