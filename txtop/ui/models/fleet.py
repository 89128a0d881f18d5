"""A fleet as its screen shows it: a row for each place, and a row for each cell with the figures of
each kind of machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from txtop import formatting
from txtop.analysis import metrics
from txtop.analysis.hardware import get_hardware_key
from txtop.fleet.followed import FollowedPlace, PlaceLine
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.state.cell import CellState
from txtop.state.session import HOST, SessionState, list_gpus
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import format_failure_reason
from txtop.ui.models.machine import shorten_device_name
from txtop.units import NS_PER_S

PlaceStage = Literal["waiting", "running", "done", "stopped", "trouble"]
# Rates of a cell at work are computed again at every fiftieth more of its iterations.
RECOUNT_SHARE = 50
# From here on a time reads better in minutes.
MAX_LAG_IN_SECONDS = 100
ENDINGS: dict[str, tuple[PlaceStage, str, str]] = {
    "done": ("done", "✓", "muted"),
    "stopped": ("stopped", "■", "muted"),
}


@dataclass(frozen=True)
class PlaceRow:
    """One place: its state as (glyph, word, colour), and what it does.

    `cell` is what is measured now, at `rate`, or what is wrong. Texts are empty where there is
    nothing to say.
    """

    label: str
    stage: PlaceStage
    sign: tuple[str, str, str]
    cell: str = ""
    over: int = 0
    failed: int = 0
    total: int = 0
    rate: str = ""
    unit: str = ""
    device: str = ""
    power: str = ""
    lag: str = ""
    is_silent: bool = False


@dataclass(frozen=True)
class KindFigure:
    """The figure of a cell on one kind of machine, and its colour; `value` is its number."""

    text: str = ""
    role: str = "muted"
    value: float = 0.0


@dataclass(frozen=True)
class FleetCellRow:
    """One cell of the plan, with a figure for each kind of machine."""

    name: str
    unit: str
    figures: tuple[KindFigure, ...]


@dataclass(frozen=True)
class FleetView:
    """One frame of a fleet. `models` are those of all cells, `kinds` the headings of the columns of
    `cells`."""

    name: str = ""
    models: str = ""
    clock: str = ""
    places: tuple[PlaceRow, ...] = ()
    kinds: tuple[str, ...] = ()
    cells: tuple[FleetCellRow, ...] = ()
    is_over: bool = False
    is_copied: bool = False
    late: bool = False

    def count(self, stage: PlaceStage) -> int:
        """Return how many places are in that stage."""
        return sum(row.stage == stage for row in self.places)


class SharedPlan(NamedTuple):
    """The cells of all places: the name of each by its key, and its id in each place, by label.

    `doing` are the same names by place and id.
    """

    names: Mapping[str, str]
    models: str
    ids: Mapping[str, Mapping[str, str]]
    doing: Mapping[str, Mapping[str, str]]


class FleetViewBuilder:
    """The builder of the frames of one fleet, which keeps what later frames reuse."""

    def __init__(self) -> None:
        self._cache = FrameCache()

    def build(self, name: str, places: Sequence[FollowedPlace], *, copied: bool) -> FleetView:
        """Build one frame of the fleet `name`; it is `copied` if that is this program's work."""
        headers = [id(place.state.header) for place in places]
        plan = self._cache.get_or_make("plan", headers, lambda: unite_plans(places))
        kinds = group_places(places)
        steps = [[(place.label, _count_steps(place.state)) for place in own] for own in kinds]
        cells = self._cache.get_or_make(
            "cells",
            (headers, steps),
            lambda: tuple(self._build_cell_row(key, plan, kinds) for key in plan.names),
        )
        return FleetView(
            name=name,
            models=plan.models,
            clock=formatting.format_clock(max((p.state.clock_ns for p in places), default=0)),
            places=tuple(self._build_place_row(place, plan) for place in places),
            kinds=name_kinds(kinds),
            cells=cells,
            is_over=all(place.is_over for place in places),
            is_copied=copied,
        )

    def _build_place_row(self, place: FollowedPlace, plan: SharedPlan) -> PlaceRow:
        state, line = place.state, place.line
        stage, sign, problem = judge_place(state, line, place.problem)
        now = state.cells.get(state.current or "") if stage == "running" else None
        beside = len(state.list_measured_now()) - 1
        doing, rate, unit = "", "", ""
        if now is not None:
            doing = plan.doing[place.label][now.cell.id] + (f" +{beside}" if beside > 0 else "")
            mean, unit = self._compute_rate(place.label, now)
            rate = formatting.PENDING if mean is None else formatting.format_number(mean)
        return PlaceRow(
            label=place.label,
            stage=stage,
            sign=sign,
            cell=problem or doing,
            over=sum(cell.over for cell in state.cells.values()),
            failed=state.failed,
            total=len(state.cells),
            rate=rate,
            unit=unit,
            device=describe_device(state),
            power=_format_power(state) if stage == "running" else "",
            lag=format_lag(line),
            is_silent=line is not None and line.is_silent,
        )

    def _compute_rate(self, label: str, cell: CellState) -> tuple[float | None, str]:
        """Return the mean rate of a cell, the final one once it is over, and its unit."""
        metric = metrics.choose_headline_metric(cell)
        count = len(cell.samples)
        rounded = count - count % max(1, count // RECOUNT_SHARE)
        mean = self._cache.get_or_make(
            (label, cell.cell.id),
            (cell.samples, cell.over, rounded),
            lambda: metrics.compute_mean(cell, metric),
        )
        return mean, metrics.ITERATION_METRICS[metric][0]

    def _build_cell_row(
        self, key: str, plan: SharedPlan, kinds: Sequence[Sequence[FollowedPlace]]
    ) -> FleetCellRow:
        units: list[str] = []
        figures = []
        for places in kinds:
            rates: dict[str, list[float]] = {}
            failures = []
            for place in places:
                cell = place.state.cells.get(plan.ids[place.label].get(key, ""))
                if cell is None or cell.stage == "waiting":
                    continue
                if cell.over and cell.status != "ok":
                    failures.append(format_failure_reason(cell))
                    continue
                mean, unit = self._compute_rate(place.label, cell)
                if mean is not None:
                    units.append(unit)
                    rates.setdefault("done" if cell.over else "running", []).append(mean)
                else:
                    rates.setdefault("begun", [])
            figures.append(_build_figure(rates, failures))
        return FleetCellRow(plan.names[key], units[0] if units else "", tuple(figures))


def _build_figure(rates: Mapping[str, Sequence[float]], failures: Sequence[str]) -> KindFigure:
    """Return the median of the rates of equal machines that are done; else of those at work."""
    for standing, role in (("done", "text"), ("running", "accent-a")):
        if means := rates.get(standing):
            value = median(means)
            return KindFigure(formatting.format_number(value), role, value)
    if failures:
        return KindFigure(failures[0], "bad")
    return KindFigure(formatting.PENDING) if rates else KindFigure()


def unite_plans(places: Sequence[FollowedPlace]) -> SharedPlan:
    """Return the cells of all places in the order in which they first appear; equal ones once."""
    united: dict[str, Cell] = {}
    ids: dict[str, dict[str, str]] = {}
    for place in places:
        own = ids[place.label] = {}
        for cell in place.state.plan.cells:
            key = msgspec.json.encode(msgspec.structs.replace(cell, id="")).decode()
            united.setdefault(key, cell)
            own[key] = cell.id
    numbered = [msgspec.structs.replace(c, id=str(i)) for i, c in enumerate(united.values())]
    apart = labels.name_apart(numbered)
    names = {key: apart[str(i)] for i, key in enumerate(united)}
    doing = {label: {own: names[key] for key, own in keys.items()} for label, keys in ids.items()}
    models = ", ".join(dict.fromkeys(cell.model_name for cell in numbered))
    return SharedPlan(names, models, ids, doing)


def group_places(places: Sequence[FollowedPlace]) -> list[list[FollowedPlace]]:
    """Return the places of each kind of machine, of those that have loaded a model: before that the
    device is not known."""
    kinds: dict[tuple[str, ...], list[FollowedPlace]] = {}
    for place in places:
        if place.state.loads:
            kinds.setdefault(get_hardware_key(place.state), []).append(place)
    return list(kinds.values())


def name_kinds(kinds: Sequence[Sequence[FollowedPlace]]) -> tuple[str, ...]:
    """Name each kind by its device, and by its first place where several have one of that name."""
    devices = [describe_device(own[0].state) for own in kinds]
    return tuple(
        (f"{len(own)} x " if len(own) > 1 else "")
        + (device if devices.count(device) == 1 else f"{own[0].label}: {device}")
        for own, device in zip(kinds, devices, strict=True)
    )


def _count_steps(state: SessionState) -> tuple[object, ...]:
    """Return what changes as soon as a cell begins, moves on or ends."""
    ended = sum(cell.over for cell in state.cells.values())
    at_work = sorted((name, len(state.cells[name].samples)) for name in state.working)
    return ended, *at_work


def judge_place(
    state: SessionState, line: PlaceLine | None, unreadable: str
) -> tuple[PlaceStage, tuple[str, str, str], str]:
    """Return the stage of a place, its state as (glyph, word, colour), and what is wrong."""
    if unreadable:
        return "trouble", ("✗", "unreadable", "bad"), unreadable
    if line is not None and line.copy == "given up":
        return "trouble", ("✗", "lost", "bad"), line.problem
    if state.ended is not None:
        stage, glyph, role = ENDINGS.get(state.ended.reason, ("trouble", "✗", "bad"))
        return stage, (glyph, state.ended.reason, role), ""
    if line is not None and line.is_silent:
        return "trouble", ("▲", "no data", "warn"), line.problem
    if state.header is None:
        return "waiting", ("○", "no log yet" if line is None else "connecting", "muted"), ""
    if line is None:
        return "stopped", ("·", "not ended", "warn"), ""
    if state.paused:
        return "running", ("‖", "paused", "accent-a"), ""
    word = _name_activity(state)
    glyph, role = ("●", "accent-a") if word == "measuring" else ("○", "muted")
    return "running", (glyph, word, role), ""


def _name_activity(state: SessionState) -> str:
    if state.comparing is not None:
        return "comparing"
    if state.answering is not None:
        return "answering"
    cell = state.cells.get(state.current or "")
    return "preparing" if cell is None else cell.stage


def describe_device(state: SessionState) -> str:
    """Describe what a place measures on: its GPUs, else processor and cores."""
    gpus = [device.label for _, device in list_gpus(state) if device.label]
    if gpus:
        name = shorten_device_name(gpus[0])
        return f"{len(gpus)} x {name}" if len(gpus) > 1 else name
    machine = state.header.machine if state.header else None
    if machine is None:
        return ""
    cores = machine.cores_allowed or machine.cores_logical
    name = shorten_device_name(machine.cpu)
    return f"{name}, {formatting.format_count(cores, 'core')}" if cores else name


def _format_power(state: SessionState) -> str:
    """Format the power of all GPUs, without any that of the host; a dash where none is read."""
    devices = [device for _, device in list_gpus(state)]
    devices = devices or [own for name, own in state.devices.items() if name == HOST]
    read = [watts for device in devices if (watts := device.last("power_w")) is not None]
    return f"{sum(read):.0f} W" if read else formatting.MISSING


def format_lag(line: PlaceLine | None) -> str:
    """Format since when nothing came: `<1 s`, `12 s`, `02:30`; empty once nothing more comes."""
    if line is None or line.copy in ("complete", "given up"):
        return ""
    if line.silent_s < 1:
        return "<1 s"
    if line.silent_s < MAX_LAG_IN_SECONDS:
        return f"{int(line.silent_s)} s"
    return formatting.format_clock(line.silent_s * NS_PER_S)
