"""Expand lists of values into cells: every combination, each once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import msgspec

from txtop.plan.cell import ATTENTIONS as ATTENTIONS
from txtop.plan.cell import CACHES as CACHES
from txtop.plan.cell import COMPILES as COMPILES
from txtop.plan.cell import PRECISIONS as PRECISIONS
from txtop.plan.cell import Attention as Attention
from txtop.plan.cell import Cache as Cache
from txtop.plan.cell import Cell as Cell
from txtop.plan.cell import Compile as Compile
from txtop.plan.cell import Count as Count
from txtop.plan.cell import Device as Device
from txtop.plan.cell import Positive as Positive
from txtop.plan.cell import Precision as Precision
from txtop.plan.cell import Weights as Weights
from txtop.plan.knobs import KNOBS, as_list, order_knobs
from txtop.plan.serving import Scenario, Serving

TrafficPattern = tuple[Scenario, Serving | None]


# The outermost first: what takes longest to load is changed least often.
NESTING = order_knobs(
    first=("model", "attention", "threads", "precision", "compile", "cache"),
    last=("sequence_length", "new_tokens"),
    without=("batch_size",),
)


def expand_matrix(
    *, loads: Sequence[TrafficPattern] | None = None, **values: Any
) -> tuple[Cell, ...]:
    """Combine all values, each combination once, model first: cells that share weights stand
    together.

    `values` are those of knobs, by the names of their options; a knob without any keeps its
    default. Requests come one by one, so a batch size is of full batches alone.
    """
    fields = {knob.option: knob for knob in KNOBS}
    axes = {fields[option].field: as_list(given) for option, given in values.items()}
    nest = {knob.field: axes.get(knob.field) or [knob.default] for knob in NESTING}
    offers = [
        {"scenario": scenario, "serving": serving, "batch_size": batch}
        for scenario, serving in loads or [("static", None)]
        for batch in (axes.get("batch_size") or [1] if serving is None else [1])
    ]
    cells = (
        Cell(id="", **dict(zip(nest, chosen, strict=True)), **offer)
        for *chosen, offer in product(*nest.values(), offers)
    )
    return tuple(
        msgspec.structs.replace(cell, id=f"c{number:03d}")
        for number, cell in enumerate(dict.fromkeys(cells), start=1)
    )
