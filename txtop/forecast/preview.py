"""A matrix before it is measured: what its cells need, what will not fit, what it will take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from txtop.errors import TxtopError
from txtop.forecast.duration import DurationEstimate, estimate_duration
from txtop.forecast.history import RunHistory
from txtop.forecast.memory_fit import FreeMemory, expected_bytes
from txtop.forecast.time_left import estimate_traffic_s
from txtop.models import model_config
from txtop.options.command_line import format_command
from txtop.options.feasibility import classify
from txtop.options.run import build_plan, expand_cells
from txtop.options.run_options import RunOptions
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan

# Of what is free: weights and cache are not all that a cell needs.
TIGHT_SHARE = 0.85

Fit = Literal["fits", "tight", "will not fit", "unknown"]
Fate = Literal["refused", "left out", "planned"]
UNKNOWN_DURATION = DurationEstimate(None, False, "")


@dataclass(frozen=True)
class CellPreview:
    """One cell before it is measured. `why` is the reason of one that is refused (the whole plan
    with it) or left out, `brief` the same in two words where there are such; `needs` are bytes of
    weights and KV cache, null where unknown."""

    cell: Cell
    fate: Fate
    why: str
    needs: int | None
    brief: str = ""

    def fit(self, free: float | None) -> Fit:
        """Whether it fits into so many bytes, as far as is known."""
        if self.needs is None or free is None:
            return "unknown"
        if self.needs > free:
            return "will not fit"
        return "tight" if self.needs > TIGHT_SHARE * free else "fits"


@dataclass(frozen=True)
class MatrixPreview:
    """What was asked, before it is begun: `plan` is null where `error` says why it cannot be."""

    cells: tuple[CellPreview, ...] = ()
    plan: Plan | None = None
    error: str = ""
    command: str = ""
    time: DurationEstimate = UNKNOWN_DURATION

    def counts(self, room: FreeMemory) -> dict[str, int]:
        """How many cells there are of each fate, and of those planned of each fit."""
        found: dict[str, int] = {}
        for each in self.cells:
            word = each.fate
            found[word] = found.get(word, 0) + 1
            if word == "planned":
                fit = each.fit(room.for_device(each.cell.device)[0])
                found[fit] = found.get(fit, 0) + 1
        return found


def build_matrix_preview(
    asked: RunOptions, past: RunHistory, session_dir: Path | None = None
) -> MatrixPreview:
    """Nothing is loaded, and nothing raised: what cannot be asked becomes one line."""
    try:
        cells = expand_cells(asked)
    except TxtopError as error:
        return MatrixPreview(error=str(error))
    judged = zip(cells, classify(cells), strict=True)
    ahead = tuple(_preview_cell(cell, plain, why) for cell, (plain, why) in judged)
    command = format_command(asked, session_dir)
    try:
        plan = build_plan(asked)
    except TxtopError as error:
        return MatrixPreview(ahead, error=str(error), command=command)
    return MatrixPreview(ahead, plan, command=command, time=_estimate_duration(plan, past))


def _estimate_duration(plan: Plan, past: RunHistory) -> DurationEstimate:
    """Of cells that serve requests their load lasts as long as it is long, whatever the past."""
    served = [cell for cell in plan.cells if cell.serving is not None]
    if not served:
        return estimate_duration(plan, past)
    others = tuple(cell for cell in plan.cells if cell.serving is None)
    known = {cell.group for cell in others}
    loads = [past.load_s(cell) for cell in {c.group: c for c in served}.values()
             if cell.group not in known]  # fmt: skip
    found = (
        estimate_duration(replace(plan, cells=others), past)
        if others
        else DurationEstimate(0.0, False, "the load")
    )
    if found.seconds is None:
        return found
    seconds = found.seconds + sum(estimate_traffic_s(cell, plan) for cell in served)
    basis = found.basis + (", loading not counted" if None in loads else "")
    return DurationEstimate(seconds + sum(s for s in loads if s is not None), True, basis)


def _preview_cell(cell: Cell, plain: Cell, why: str) -> CellPreview:
    needs = expected_bytes(cell)
    if why:
        return CellPreview(cell, "left out", why, needs)
    if refused := model_config.explain_refusal(plain):
        brief = f"context {model_config.find_context_length(cell.model)}"
        return CellPreview(cell, "refused", refused[0], needs, brief)
    return CellPreview(cell, "planned", "", needs)
