"""What is measured: the cells of a plan, and how long each may take."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
from txtop.plan.matrix import TrafficPattern as TrafficPattern

MIN_GATE_ITERATIONS = 20


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository may do on this machine; nothing, unless a flag allowed it.

    `pickles`: weights are read from pickled files. `remote_code`: its own classes are run.
    """

    pickles: bool = False
    remote_code: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cells in the order they are measured, and the rule that ends each of them.

    `iterations` measures exactly that many; without it a cell runs at least 10 iterations and
    3 s, then until its interval is narrow enough or `budget_s` is spent. `warmup` is that many
    iterations, null the gate of `stats.warmup`. `timeout_s` ends a cell that takes longer as a
    whole, loading included.

    With a `margin` the cells are the arms of an A/B: they take turns, the others are held against
    the first, and `budget_s` is what they measure together. The margin is the smallest difference
    in speed that matters, as a share; `iterations` are then blocks. `fidelity_positions` is how
    many next-token distributions are compared to tell what a faster precision costs.
    """

    cells: tuple[Cell, ...]
    iterations: Positive | None = None
    warmup: Count | None = None
    budget_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    seed: Count = 0
    preset: str | None = None
    scale: Literal["full", "smoke"] = "full"
    timeout_s: Annotated[float, Meta(gt=0, le=864_000)] | None = None
    cost_per_hour: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    allowed: Allowed = Allowed()
    margin: Annotated[float, Meta(gt=0, le=1)] | None = None
    fidelity_positions: Annotated[int, Meta(ge=0, le=1_000_000)] = 2048

    @property
    def fixed_iterations(self) -> int | None:
        """How many iterations each cell measures, where that was asked for."""
        return self.iterations if self.margin is None else None

    @property
    def expected_warmup(self) -> int:
        """Warm-up iterations to reckon with: the count asked for, or the least the gate needs."""
        return MIN_GATE_ITERATIONS if self.warmup is None else self.warmup

    def warmup_requests(self, cell: Cell) -> int:
        """How many requests a server answers before its load: as asked for, or two full batches."""
        return 2 * cell.slots if self.warmup is None else self.warmup

    def find_capacity_cell(self, cell: Cell) -> Cell | None:
        """The cell whose clients find out how much the server of `cell` can answer."""
        return next((c for c in self.cells if c.asks_all and c.server == cell.server), None)

    @property
    def groups(self) -> list[list[Cell]]:
        """Cells that share weights, together, in the order of their first appearance."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.group, []).append(cell)
        return list(found.values())


def hash_workload(plan: Plan) -> str:
    """sha256 of what the cells ask of the machine, without ids, threads and device."""
    skipped = ("id", "threads", "device")
    cells = []
    for cell in plan.cells:
        asked = msgspec.structs.asdict(cell)
        if cell.serving is None:
            del asked["scenario"], asked["serving"]
        else:
            asked["serving"] = msgspec.structs.replace(cell.serving, slo=None)
        cells.append({k: v for k, v in sorted(asked.items()) if k not in skipped})
    body = msgspec.json.encode({"cells": cells, "seed": plan.seed})
    return hashlib.sha256(body).hexdigest()
