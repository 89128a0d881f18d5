"""Expand lists of values into cells: every combination, each once."""

from __future__ import annotations

from itertools import product

from txtop.plan.cell import Attention, Cache, Cell, Compile, Device, Precision, Weights
from txtop.plan.serving import Scenario, Serving

TrafficPattern = tuple[Scenario, Serving | None]


def expand_matrix(
    *,
    models: list[str],
    precisions: list[Precision],
    attention: list[Attention],
    batch_sizes: list[int],
    sequence_lengths: list[int],
    new_tokens: list[int],
    device: Device = "auto",
    threads: list[int] | None = None,
    weights: Weights = "auto",
    compiles: list[Compile] | None = None,
    caches: list[Cache] | None = None,
    loads: list[TrafficPattern] | None = None,
) -> tuple[Cell, ...]:
    """Every combination, each once, model first: cells that share weights stand together."""
    pools: list[int | None] = list(threads or []) or [None]
    graphs: list[Compile] = list(compiles or []) or ["none"]
    stores: list[Cache] = list(caches or []) or ["dynamic"]
    offers: list[tuple[TrafficPattern, int]] = [
        (load, batch)
        for load in loads or [("static", None)]
        for batch in (batch_sizes if load[1] is None else [1])
    ]
    knobs = product(
        models,
        attention,
        pools,
        precisions,
        graphs,
        stores,
        sequence_lengths,
        new_tokens,
        offers,
    )
    return tuple(
        Cell(
            id=f"c{number:03d}",
            model=model,
            precision=precision,
            attention=kernel,
            batch_size=batch,
            sequence_length=length,
            new_tokens=tokens,
            device=device,
            threads=thread,
            weights=weights,
            compile=compiled,
            cache=cache,
            scenario=scenario,
            serving=serving,
        )
        for number, (
            model,
            kernel,
            thread,
            precision,
            compiled,
            cache,
            length,
            tokens,
            ((scenario, serving), batch),
        ) in enumerate(dict.fromkeys(knobs), start=1)
    )
