"""The plan of a run: its cells, and how long each may take. It is recorded in the log's header."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from txtop.plan.cell import Cell, Count
from txtop.plan.model_names import Family, name_models, shorten_model_name
from txtop.plan.serving import MAX_NUMBER, Positive
from txtop.plan.task import DEFAULT_ACCURACY_MARGIN, MAX_TASKS, TaskSpec
from txtop.plan.tuning import Tuning
from txtop.system.device_names import Device

MIN_GATE_ITERATIONS = 20
MAX_PLACES = 256
MAX_STARTS = 100
DEFAULT_MARGIN = 0.02
"""The smallest difference in speed that matters, as a share of 1."""


def alias_models(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return the cells with the name of their model where its last part is not enough."""
    names = name_models(cell.model for cell in cells)
    aliases = {
        model: UNSET if name == shorten_model_name(model) else name for model, name in names.items()
    }
    return tuple(
        cell
        if cell.alias == aliases[cell.model]
        else msgspec.structs.replace(cell, alias=aliases[cell.model])
        for cell in cells
    )


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """Permissions of a model's repository on this machine; none, unless an option gives them.

    `pickles`: read weights from pickled files. `remote_code`: run the repository's own classes.
    """

    pickles: bool = False
    remote_code: bool = False


Profile = Literal["none", "gpu"]
Largest = Literal["batch-size", "sequence-length", "both"]


class EdgeSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The search of `txtop fit`: the largest batch, the longest prompt, or each of them.

    `base` has the other knobs, and for `both` the batch and the length that stay as one of them
    grows. `limit_bytes` is the memory for a probe, None where that of a device is the limit. It was
    `asked` for, or is what is free here, and a process is held to it. Where the system limits the
    address space of a process to less, `address_bytes`, it is what that is expected to leave.
    `context` and `family` are those of the model, None where its first load tells them; an older
    recording has none.
    """

    largest: Largest
    base: Cell
    limit_bytes: Annotated[int, Meta(gt=0)] | None = None
    asked: bool = False
    address_bytes: Annotated[int, Meta(gt=0)] | None = None
    context: int | UnsetType | None = UNSET
    family: Family | None = None

    @property
    def held_bytes(self) -> int | None:
        """Return the memory to which a process is held; None if the system does that."""
        return self.limit_bytes if self.address_bytes is None else None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cells in the order they are measured, and the rule that ends each of them.

    `iterations` is the exact number of iterations to measure; without it a cell runs at least 10
    iterations and 3 s, then until its interval is narrow enough or `budget_s` is spent. `warmup`
    is the number of warm-up iterations, `None` for the gate of `stats.warmup`. If they are `fitted`
    both are the most, and `budget_s` ends a cell before. `timeout_s` ends a cell that takes longer
    as a whole, loading included.

    With a `margin` the cells are the arms of an A/B: they take turns, each is compared with the
    first, and `budget_s` is the time that all measure together. The margin is the smallest
    difference in speed that matters, as a share of 1; `iterations` then counts blocks. With several
    `starts` the arms are measured in that many fresh processes each, one after the other: each has
    its part of the budget, or `iterations` blocks.
    `note` is a remark for the session's log on why these cells are measured. `fidelity_positions`
    is the number of next-token distributions compared to measure how much
    quality a faster precision costs; 0 for no comparison. With the `profile` "gpu" a process of
    its own reads in what share of a step a CUDA device computes. With an `edge_search` the cells
    are its first probe; those that follow are in the log. With a `tuning` they are the candidates
    of a race. The `tasks` are answered by each precision; a loss of accuracy up to
    `accuracy_margin`, a share of 1, does not matter. With `explain` a process of its own profiles
    where the time of each cell goes, once it was measured. `nvtx` marks load, requests and steps
    for another profiler. With `places`, GPUs or sets of cores, cells are measured side by side:
    those that share weights in one place, one after the other.
    """

    cells: tuple[Cell, ...]
    iterations: Positive | None = None
    warmup: Count | None = None
    budget_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    fitted: bool = False
    seed: Count = 0
    preset: str | None = None
    scale: Literal["full", "smoke"] = "full"
    timeout_s: Annotated[float, Meta(gt=0, le=864_000)] | None = None
    cost_per_hour: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    allowed: Allowed = Allowed()
    margin: Annotated[float, Meta(gt=0, le=1)] | None = None
    starts: Annotated[int, Meta(gt=0, le=MAX_STARTS)] = 1
    fidelity_positions: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] = 2048
    profile: Profile = "gpu"
    note: Annotated[str, Meta(max_length=200)] = ""
    edge_search: EdgeSearch | None = None
    tasks: Annotated[tuple[TaskSpec, ...], Meta(max_length=MAX_TASKS)] = ()
    accuracy_margin: Annotated[float, Meta(gt=0, le=1)] = DEFAULT_ACCURACY_MARGIN
    explain: bool = False
    nvtx: bool = False
    tuning: Tuning | None = None
    places: Annotated[tuple[Device, ...], Meta(max_length=MAX_PLACES)] = ()

    def __post_init__(self) -> None:
        """Name the models of the cells apart."""
        msgspec.structs.force_setattr(self, "cells", alias_models(self.cells))

    @property
    def fixed_iterations(self) -> int | None:
        """Return the number of iterations of each cell, if `fitted` the most; `None` in an A/B."""
        return self.iterations if self.margin is None else None

    @property
    def timed(self) -> bool:
        """Return whether `budget_s` ends a cell, be its iterations counted or not."""
        return self.iterations is None or self.fitted

    @property
    def expected_warmup(self) -> int:
        """Return the number of warm-up iterations to expect: as given, or the gate's least."""
        return MIN_GATE_ITERATIONS if self.warmup is None else self.warmup

    def warmup_requests(self, cell: Cell) -> int:
        """Return the number of requests before a server's load: as given, or two full batches."""
        return 2 * cell.slots if self.warmup is None else self.warmup

    def find_capacity_cell(self, cell: Cell) -> Cell | None:
        """Return the closed-loop cell that measures how much the server of `cell` can answer."""
        return next((c for c in self.cells if c.asks_all and c.server == cell.server), None)

    @property
    def groups(self) -> list[list[Cell]]:
        """Return the cells by the weights they share, in order of first appearance."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return list(groups.values())


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Cell)}


def hash_workload(plan: Plan) -> str:
    """Return the sha256 of the work that the cells ask for, without ids, threads and devices.

    Sessions with equal hashes measured the same work; latency promises change no work.
    """
    skipped = ("id", "alias", "base", "attention_asked", "threads", "device", "parallel")
    texts = ("prompts", "chat_template", "prefix_cache")
    cells = []
    for cell in plan.cells:
        workload = msgspec.structs.asdict(cell)
        if not cell.quantization:
            del workload["quantization"]
        if cell.serving is None:
            del workload["scenario"], workload["serving"]
        else:
            workload["serving"] = msgspec.structs.replace(cell.serving, slo=None)
        for name in texts:
            # Without texts the hash is that of recordings made before there were any.
            if workload[name] == _DEFAULTS[name]:
                del workload[name]
        if cell.prompts is not None:
            workload["prompts"] = cell.prompts.work
            del workload["sequence_length"]
        cells.append({k: v for k, v in sorted(workload.items()) if k not in skipped})
    body = msgspec.json.encode({"cells": cells, "seed": plan.seed})
    return hashlib.sha256(body).hexdigest()
