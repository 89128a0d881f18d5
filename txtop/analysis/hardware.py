"""Compare the same cells on several kinds of machine, each against the first.

Sessions of equal machines are one side: their figures are pooled as those of repeated runs are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from txtop.analysis import metrics
from txtop.analysis.compare import (
    SessionCell,
    compare_cell,
    compute_per_watt,
    compute_rate,
    pair_cells,
)
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState, list_gpus
from txtop.stats.intervals import Interval, compute_student_t_interval
from txtop.stats.summary import Summary
from txtop.stats.unpaired import UnpairedRatio


@dataclass(frozen=True)
class HardwareRow:
    """A cell on one kind of machine: its rate in `unit`, and the ratio to the first kind.

    `rate` is the median of the iterations, by which cells are compared, and `mean` their mean with
    its interval `ci95`; of several sessions that are one side, both are of these. The first kind
    itself has no contrast, nor has a cell that cannot be compared for `reasons`. `notes` are the
    doubts about a ratio: a busy machine, speed that drifted, other versions. `per_watt` is None
    where no power was read, `cost_per_million`, of tokens or sequences in $, without a price.
    """

    cell: str
    machine: str
    rate: float | None
    unit: str
    per_watt: float | None
    contrast: UnpairedRatio | None
    verdict: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mean: float | None = None
    ci95: Interval | None = None
    cost_per_million: float | None = None


def get_hardware_key(state: SessionState) -> tuple[str, ...]:
    """Return the facts that make a machine another: devices, GPUs, processor, cores, drivers."""
    devices = sorted({load.device_name for load in state.loads.values()})
    gpus = Counter(device.label for _, device in list_gpus(state))
    counts = sorted(f"{count} x {name}" for name, count in gpus.items())
    drivers = {device.versions.get("nvidia_driver", "") for device in state.devices.values()}
    return *devices, *counts, *_read_processor(state), *sorted(filter(None, drivers))


def _read_processor(state: SessionState) -> tuple[str, ...]:
    machine = state.header.machine if state.header else None
    return (machine.cpu, str(machine.cores_allowed or machine.cores_logical)) if machine else ()


def group_by_kind(states: Mapping[str, SessionState]) -> dict[str, list[SessionState]]:
    """Return the sessions of each kind of machine, by the names of the places that are of it."""
    # What never loaded a model does not tell its devices: it joins those of its processor.
    loaded = {
        _read_processor(state): get_hardware_key(state)
        for state in reversed(list(states.values()))
        if state.loads
    }
    kinds: dict[tuple[str, ...], list[str]] = {}
    for place, state in states.items():
        own = get_hardware_key(state)
        key = own if state.loads else loaded.get(_read_processor(state), own)
        kinds.setdefault(key, []).append(place)
    return {
        ", ".join(sanitise(place, 80) for place in places): [states[place] for place in places]
        for places in kinds.values()
    }


def compare_hardware(
    sides: Mapping[str, list[SessionState]], margin: float
) -> tuple[HardwareRow, ...]:
    """Return a row for each cell and side, the rows of a cell together.

    A side without the cell has none if the first side lacks it, too.
    """
    rows = []
    for label, cells in pair_cells(*sides.values()):
        rows.append(_build_first(next(iter(sides)), label, cells))
        for machine, own in list(zip(sides, cells, strict=True))[1:]:
            if not (cells[0] or own):
                continue
            compared = compare_cell(label, cells[0], own, margin, across_hardware=True)
            mean, ci95 = _summarise_rate(own)
            rows.append(
                HardwareRow(
                    cell=label,
                    machine=machine,
                    rate=compared.new_rate,
                    unit=compared.unit,
                    per_watt=compared.new_per_watt,
                    contrast=compared.contrast,
                    verdict=compared.verdict,
                    reasons=compared.reasons,
                    notes=tuple(compared.notes),
                    mean=mean,
                    ci95=ci95,
                    cost_per_million=_compute_cost(own, mean),
                )
            )
    return tuple(rows)


def _build_first(machine: str, label: str, cells: Sequence[list[SessionCell]]) -> HardwareRow:
    """Build the row of the first side, which the others are compared with."""
    own = cells[0]
    # A side that lacks the cell has it in the unit of one that has it.
    _, measured = next(filter(None, cells))[0]
    mean, ci95 = _summarise_rate(own)
    return HardwareRow(
        cell=label,
        machine=machine,
        rate=compute_rate(own),
        unit=metrics.get_headline_unit(measured),
        per_watt=compute_per_watt(own),
        contrast=None,
        verdict="first",
        mean=mean,
        ci95=ci95,
        cost_per_million=_compute_cost(own, mean),
    )


def _summarise_rate(side: Sequence[SessionCell]) -> tuple[float | None, Interval | None]:
    """Return the mean rate of a cell and its interval, over the sessions if there are several."""
    figures = [
        figure
        for state, cell in side
        if (figure := _get_headline(state, cell)) is not None and figure.mean is not None
    ]
    if len(figures) == 1:
        return figures[0].mean, figures[0].ci95
    means = [figure.mean for figure in figures if figure.mean is not None]
    return (fmean(means), compute_student_t_interval(means)) if means else (None, None)


def _get_headline(state: SessionState, cell: CellState) -> Summary | None:
    if cell.status != "ok":
        return None
    figures = metrics.summarise_final(cell, state.plan.seed)
    return figures.get(metrics.choose_headline_metric(cell))


def _compute_cost(side: Sequence[SessionCell], mean: float | None) -> float | None:
    """Return the price of a million tokens or sequences; None unless all sessions have one."""
    prices = {state.plan.cost_per_hour for state, _ in side}
    price = prices.pop() if len(prices) == 1 else None
    return price / 3600 / mean * 1e6 if price is not None and mean else None


def has_comparison(rows: Iterable[HardwareRow]) -> bool:
    """Return True if any cell could be compared."""
    return any(row.contrast is not None for row in rows)
