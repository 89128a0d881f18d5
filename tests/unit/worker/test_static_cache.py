"""The static cache of a cell depends on that cell alone, whatever its worker measured before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import StaticCache

from support import tiny_models
from support.inline_worker import InlineWorker, run_inline
from txtop.plan.cell import Cell
from txtop.protocol import commands

Sizes = list[tuple[int, int]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[InlineWorker]:
    with run_inline(monkeypatch) as inline:
        yield inline


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """The length and the bytes of a layer's keys of every static cache, in the order of use."""
    seen: Sizes = []
    initialise = StaticCache.__init__

    def record(cache: StaticCache, *args: Any, **named: Any) -> None:
        initialise(cache, *args, **named)
        layer: Any = cache.layers[0]
        update = layer.update

        def update_and_record(*args: Any, **named: Any) -> Any:
            keys, values = update(*args, **named)
            seen.append((keys.shape[2], keys.nbytes))
            return keys, values

        layer.update = update_and_record

    monkeypatch.setattr(StaticCache, "__init__", record)
    return seen


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_a_short_cell_after_a_long_one_has_the_cache_that_it_has_alone(
    family: str, worker: InlineWorker, sizes: Sizes, tmp_path: Path
) -> None:
    model = str(getattr(tiny_models, family)(tmp_path / "m"))
    long, short = (
        Cell(id=name, model=model, device="cpu", threads=1, cache="static",
             sequence_length=length, new_tokens=new)
        for name, length, new in (("c1", 40, 12), ("c2", 8, 4))
    )  # fmt: skip
    runs: list[Sizes] = []
    for order in ((short,), (long, short)):
        worker.follow(commands.LoadModel(cell=order[0], started_ns=0, seed=0))
        for cell in order:
            sizes.clear()
            worker.follow(commands.Prepare(cell=cell))
            worker.follow(commands.Iterate(cell=cell.id, role="measured", index=0))
            runs.append(sizes.copy())
    alone, before, after = runs
    assert after == alone and alone, "(tokens, bytes) of every use of a layer"
    assert max(before) > max(alone)
