"""Preview a matrix before it is measured: the memory its cells need, and the time they will take.

The matrix builder shows it after every change, so nothing is loaded and nothing raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from txtop.errors import TxtopError
from txtop.forecast.duration import DurationEstimate, estimate_duration
from txtop.forecast.history import RunHistory
from txtop.forecast.memory import forecast_memory
from txtop.forecast.memory_fit import Fit, FreeMemory, classify_fit, runs_on_gpu
from txtop.forecast.time_left import estimate_traffic_s
from txtop.models import model_config
from txtop.models.precision_needs import explain_unavailable
from txtop.options.command_line import format_command
from txtop.options.feasibility import classify
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import EmptyOptionError, build_plan, expand_cells
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS
from txtop.plan.plan import Plan

Fate = Literal["refused", "left out", "planned"]
UNKNOWN_DURATION = DurationEstimate(None, False, "")


@dataclass(frozen=True)
class CellPreview:
    """One cell before it is measured."""

    cell: Cell
    fate: Fate
    """A refused cell refuses the whole plan."""
    why: str
    """The reason if the cell is refused or left out."""
    needs: int | None
    """Bytes at the peak, process and weights included; None if unknown."""
    brief: str = ""
    """The reason in two words, or empty."""

    def fit(self, free: float | None) -> Fit:
        """Return if the cell fits into `free` bytes."""
        return classify_fit(self.needs, free)


@dataclass(frozen=True)
class MatrixPreview:
    """A matrix before it is measured; `plan` is None if `error` says why there is none.

    `remedy` is the next step, empty if none is known.
    """

    cells: tuple[CellPreview, ...] = ()
    plan: Plan | None = None
    error: str = ""
    remedy: str = ""
    command: str = ""
    time: DurationEstimate = UNKNOWN_DURATION
    memory_errors: tuple[float, ...] = ()
    """The errors of earlier forecasts of memory here, as shares of the peak."""

    @property
    def problem(self) -> str:
        """Return why there is no plan and the next step, in one line."""
        return f"{self.error}: {self.remedy}" if self.remedy else self.error

    def counts(self, free_memory: FreeMemory) -> dict[str, int]:
        """Count the cells of each fate, and the planned ones of each fit."""
        counts: dict[str, int] = {}
        for cell in self.cells:
            fate = cell.fate
            counts[fate] = counts.get(fate, 0) + 1
            if fate == "planned":
                fit = cell.fit(free_memory.for_device(cell.cell.device)[0])
                counts[fit] = counts.get(fit, 0) + 1
        return counts


def build_matrix_preview(
    options: RunOptions, history: RunHistory, session_dir: Path | None = None
) -> MatrixPreview:
    """Preview the matrix of `options`; an error becomes the `error` of the preview."""
    try:
        cells = expand_cells(options)
    except EmptyOptionError as error:
        return MatrixPreview(error=_format_empty(error.option))
    except TxtopError as error:
        return MatrixPreview(error=error.cause, remedy=error.hint)
    judged = zip(cells, classify(cells), strict=True)
    previews = tuple(_preview_cell(cell, plain, why, history) for cell, (plain, why) in judged)
    command = format_command(options, session_dir)
    try:
        plan = build_plan(options)
    except TxtopError as error:
        cause, remedy = error.cause, error.hint
        if all(preview.fate == "left out" for preview in previews):
            # The list of cells has the reason of each.
            cause, remedy = f"no cell is left to measure: {previews[0].why}", ""
        return MatrixPreview(previews, error=cause, remedy=remedy, command=command)
    return MatrixPreview(
        previews,
        plan,
        command=command,
        time=_estimate_duration(plan, history),
        memory_errors=tuple(history.memory_errors),
    )


def _format_empty(option: str) -> str:
    """Format the error of an option without values for rows that have titles and no options."""
    fields = {knob.flag: knob.field for knob in KNOBS}
    noun = fields.get(option, option.removeprefix("--")).replace("_", " ")
    return f"choose at least one {'number of ' if noun.endswith('s') else ''}{noun}"


def _estimate_duration(plan: Plan, history: RunHistory) -> DurationEstimate:
    """Estimate the duration of a plan whose cells may serve requests.

    A cell that serves takes as long as its load lasts, whatever the history.
    """
    served = [cell for cell in plan.cells if cell.serving is not None]
    if not served:
        return estimate_duration(plan, history)
    others = tuple(cell for cell in plan.cells if cell.serving is None)
    loaded = {cell.group for cell in others}
    loads = [history.load_s(cell) for cell in {c.group: c for c in served}.values()
             if cell.group not in loaded]  # fmt: skip
    estimate = (
        estimate_duration(replace(plan, cells=others), history)
        if others
        else DurationEstimate(0.0, False, "the load")
    )
    if estimate.seconds is None:
        return estimate
    seconds = estimate.seconds + sum(estimate_traffic_s(cell, plan) for cell in served)
    basis = estimate.basis + (", plus loading" if None in loads else "")
    return DurationEstimate(seconds + sum(s for s in loads if s is not None), True, basis)


def _preview_cell(cell: Cell, plain: Cell, why: str, history: RunHistory) -> CellPreview:
    on_gpu = runs_on_gpu(cell.device)
    forecast = forecast_memory(
        cell, on_gpu=on_gpu, process_bytes=None if on_gpu else history.process_bytes
    )
    needs = forecast.peak_bytes if forecast else None
    if why:
        return CellPreview(cell, "left out", why, needs)
    if refused := model_config.explain_refusal(plain):
        brief = f"context {model_config.find_context_length(cell.model)}"
        return CellPreview(cell, "refused", refused[0], needs, brief)
    if missing := explain_unavailable(plain):
        return CellPreview(cell, "refused", missing[0], needs, "not here")
    return CellPreview(cell, "planned", "", needs)
