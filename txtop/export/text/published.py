"""Put published figures beside those of a session that runs the same preset.

The figures and their sources are data: `published.toml`, beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState


class PublishedFigure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure: where it was measured, of what, and which cells here are asked the same."""

    preset: str
    machine: str
    what: str
    value: float
    unit: str
    metric: str = "sequences_per_s"
    cells: dict[str, str | int] = {}
    other_than: dict[str, str | int] = {}

    def is_of(self, cell: Cell) -> bool:
        """Return whether `cell` is asked what the figure was measured of."""
        return all(getattr(cell, field) == value for field, value in self.cells.items()) and all(
            getattr(cell, field) != value for field, value in self.other_than.items()
        )


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    figure: tuple[PublishedFigure, ...]
    contradictions: dict[str, str]


@cache
def read_table() -> _Table:
    """Read every published figure, in the order in which they are shown."""
    path = Path(__file__).with_suffix(".toml")
    return msgspec.toml.decode(path.read_bytes(), type=_Table)


def figures_of(preset: str | None) -> tuple[PublishedFigure, ...]:
    """Return the figures that were published for a preset."""
    return tuple(figure for figure in read_table().figure if figure.preset == preset)


def format_published(
    state: SessionState, finals: FinalMetrics, figure: Callable[[float | None], str]
) -> list[str]:
    """Each published figure beside this session's and their ratio, then how two figures relate.

    Empty where the plan has no preset, or one without published figures.
    """
    plan = state.plan
    published = figures_of(plan.preset)
    said = []
    if published and plan.scale == "smoke":
        said.append("published figures are of larger configurations: --scale smoke shrank these")
    if plan.preset in read_table().contradictions:
        said.append(read_table().contradictions[plan.preset])
    for before, now in zip((None, *published), published, strict=False):
        own = _find_own_figure(now, state, finals)
        here = _format_comparison(own, now, figure)
        said.append(
            f"published ({now.machine}): {now.what}: {figure(now.value)} {now.unit} · here {here}"
        )
        if before is not None and before.unit == now.unit:
            first = _find_own_figure(before, state, finals)
            here = f"{figure(own[0] / first[0])}x" if own and first else figure(None)
            share = figure(now.value / before.value)
            said.append(f"  the second over the first: published {share}x · here {here}")
    return said


def _format_comparison(
    own: tuple[float, Cell] | None, now: PublishedFigure, figure: Callable[[float | None], str]
) -> str:
    """This session's figure and the cell it is of: options may have changed the preset."""
    if own is None:
        return figure(None)
    mean, cell = own
    of = sanitise(labels.format_short_label(cell), 120)
    return f"{figure(mean)} {now.unit} ({of}), {figure(mean / now.value)}x of it"


def _find_own_figure(
    published: PublishedFigure, state: SessionState, finals: FinalMetrics
) -> tuple[float, Cell] | None:
    """The mean of the cell that was asked the same; the fastest where several were."""
    found = [
        (mean, cell.cell)
        for cell in state.cells.values()
        if cell.cell.serving is None
        and published.is_of(cell.cell)
        and (mean := _compute_mean(cell, published.metric, state, finals))
    ]
    best = min if published.metric.endswith("_ms") else max
    return best(found, key=lambda one: one[0]) if found else None


def _compute_mean(
    cell: CellState, metric: str, state: SessionState, finals: FinalMetrics
) -> float | None:
    if cell.status != "ok" or cell.invalid or metric not in metrics.ITERATION_METRICS:
        return None
    summary = finals.of(cell, state.plan.seed).get(metric)
    return summary.mean if summary else None
