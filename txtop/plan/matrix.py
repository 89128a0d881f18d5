"""The expansion of lists of values into cells: every combination, each once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import msgspec

from txtop.errors import did_you_mean
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_OPTION, as_list, order_knobs
from txtop.plan.serving import Scenario, Serving

TrafficPattern = tuple[Scenario, Serving | None]


# The outermost first: what takes longest to load is changed least often.
NESTING = order_knobs(
    first=("model", "attention", "threads", "precision", "compile", "cache", "speculative"),
    last=("sequence_length", "new_tokens"),
    without=("batch_size",),
)


def expand_matrix(
    *, loads: Sequence[TrafficPattern] | None = None, **values: Any
) -> tuple[Cell, ...]:
    """Return a cell for every combination of values, each once, numbered from `c001`.

    `values` are lists by the option of a knob, as in `batch_sizes=[1, 8]`; a knob without values
    keeps its default. The model varies slowest, so that cells that share weights are neighbours.
    Batch sizes apply to full batches alone: requests of a server arrive one by one.

    Raises `TypeError` for a name that is not a knob's option.
    """
    if unknown := sorted(values.keys() - BY_OPTION.keys()):
        hint = did_you_mean(unknown[0], BY_OPTION, f"knobs: {', '.join(BY_OPTION)}")
        raise TypeError(f"expand_matrix() has no knob {unknown[0]!r}: {hint}")
    axes = {BY_OPTION[option].field: as_list(given) for option, given in values.items()}
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
