"""A model in memory, with what is known of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from txtop.models import builtin
from txtop.plan.cell import Cell
from txtop.protocol import events
from txtop.worker.loading.source import ModelSource

if TYPE_CHECKING:
    import torch

    from txtop.worker.loading.geometry import ParameterCounts
    from txtop.worker.loading.positions import PositionLimits
    from txtop.worker.tasks.task import Task


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, the task that runs it, and its properties.

    `stated_positions` is the configuration's number, which may include padding. `counted` is taken
    before a quantisation; `converted`, the share converted, is `None` without one. `drawn` names
    the parameters that the files lack and that are therefore random, `drawn_parts` the modules that
    they make up. Inputs have `end_token` at their end, and nowhere else, unless it is `None`.
    `notes` are on what of the checkpoint is left out, and on the default attention. The model is
    spread over `ranks` devices or processes, each of which has a part of it.
    """

    task: Task
    model: Any
    source: ModelSource
    family: builtin.Family
    device: torch.device
    vocabulary: int
    stated_positions: int | None
    threads: int
    seed: int
    counted: ParameterCounts
    geometry: events.Geometry | None
    dtype: torch.dtype
    attention: str
    recipe: str
    converted: float | None
    page_cache: Literal["cold", "warm", "unknown"]
    drawn: tuple[str, ...]
    drawn_parts: tuple[str, ...]
    end_token: int | None
    notes: list[str]
    ranks: int = 1

    @cached_property
    def position_limits(self) -> PositionLimits:
        """Return the positions that the model has; the first call runs a short pass."""
        from txtop.worker.loading.positions import PositionLimits, find_position_limits

        if self.ranks > 1:
            # Its tables are in parts, and what is cut by a plan computes its positions.
            return PositionLimits(self.stated_positions, self.stated_positions)
        return find_position_limits(self.model, self.stated_positions)

    @cached_property
    def pools_first_token(self) -> bool:
        """Return True if the first token is the embedding of a text, and not the mean of all."""
        folder = self.source.directory
        if folder is None:
            return False
        try:
            settings = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
            return bool(settings.get("pooling_mode_cls_token"))
        except (OSError, ValueError, AttributeError):
            return False

    def settle(self, cell: Cell) -> Cell:
        """Return `cell` with the attention that was loaded for it."""
        if self.attention == "eager" and cell.attention == "sdpa":
            return msgspec.structs.replace(cell, attention="eager")
        return cell
