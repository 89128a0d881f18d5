"""Put published figures beside those of a session that runs the same preset.

The figures and their sources are data: `published.toml`, beside this file. See docs/method.md,
"Published figures".
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
    """One published figure: its source, its value, and the cells it may be compared with."""

    preset: str
    machine: str
    what: str
    """The text of the line: model, batch, length."""
    value: float
    unit: str
    metric: str = "sequences_per_s"
    """The metric of this session that is compared."""
    cells: dict[str, str | int] = {}
    """Fields of a cell and the values that they must have."""
    other_than: dict[str, str | int] = {}
    """Fields of a cell and the values that they must not have."""

    def is_of(self, cell: Cell) -> bool:
        """Return whether `cell` measures what the figure was measured of."""
        return all(getattr(cell, field) == value for field, value in self.cells.items()) and all(
            getattr(cell, field) != value for field, value in self.other_than.items()
        )


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    figure: tuple[PublishedFigure, ...]
    contradictions: dict[str, str]


@cache
def read_table() -> _Table:
    """Read every published figure, in the order of the lines."""
    path = Path(__file__).with_suffix(".toml")
    return msgspec.toml.decode(path.read_bytes(), type=_Table)


def get_published_figures(preset: str | None) -> tuple[PublishedFigure, ...]:
    """Return the figures that were published for a preset."""
    return tuple(figure for figure in read_table().figure if figure.preset == preset)


def format_published(
    state: SessionState, finals: FinalMetrics, figure: Callable[[float | None], str]
) -> list[str]:
    """Return a line for each published figure, with this session's and their ratio.

    Two neighbours in the same unit are followed by their ratio. Empty if the plan has no preset, or
    one without published figures.
    """
    plan = state.plan
    published = get_published_figures(plan.preset)
    lines = []
    if published and plan.scale == "smoke":
        lines.append("published figures are of larger configurations: --scale smoke shrank these")
    if plan.preset in read_table().contradictions:
        lines.append(read_table().contradictions[plan.preset])
    for before, now in zip((None, *published), published, strict=False):
        own = _find_own_figure(now, state, finals)
        here = _format_comparison(own, now, figure)
        lines.append(
            f"published ({now.machine}): {now.what}: {figure(now.value)} {now.unit} · here {here}"
        )
        if before is not None and before.unit == now.unit:
            first = _find_own_figure(before, state, finals)
            here = f"{figure(own[0] / first[0])}x" if own and first else figure(None)
            share = figure(now.value / before.value)
            lines.append(f"  the second over the first: published {share}x · here {here}")
    return lines


def _format_comparison(
    own: tuple[float, Cell] | None, now: PublishedFigure, figure: Callable[[float | None], str]
) -> str:
    """Format this session's figure with the label of its cell.

    The label is needed because options may have changed the preset.
    """
    if own is None:
        return figure(None)
    mean, cell = own
    of = sanitise(labels.format_short_label(cell), 120)
    return f"{figure(mean)} {now.unit} ({of}), {figure(mean / now.value)}x of it"


def _find_own_figure(
    published: PublishedFigure, state: SessionState, finals: FinalMetrics
) -> tuple[float, Cell] | None:
    """Return the mean of the cell that measures the same, and the cell; of several the fastest."""
    candidates = [
        (mean, cell.cell)
        for cell in state.cells.values()
        if cell.cell.serving is None
        and published.is_of(cell.cell)
        and (mean := _compute_mean(cell, published.metric, state, finals))
    ]
    best = min if published.metric.endswith("_ms") else max
    return best(candidates, key=lambda candidate: candidate[0]) if candidates else None


def _compute_mean(
    cell: CellState, metric: str, state: SessionState, finals: FinalMetrics
) -> float | None:
    if cell.status != "ok" or cell.invalid or metric not in metrics.ITERATION_METRICS:
        return None
    summary = finals.of(cell, state.plan.seed).get(metric)
    return summary.mean if summary else None
