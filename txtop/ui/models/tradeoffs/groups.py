"""The plots that a plan allows: its cells in groups, before anything is measured."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from txtop.plan.cell import Cell
from txtop.plan.knobs import find_varying, order_knobs
from txtop.plan.labels import BESIDE_OTHERS, format_knob
from txtop.plan.model_names import shorten_alike
from txtop.plan.plan import Plan

PlotKind = Literal["rates", "lengths", "precisions", "accuracy", "load"]
PLOT_KINDS: tuple[PlotKind, ...] = ("rates", "lengths", "precisions", "accuracy", "load")
AXIS_FIELDS: dict[PlotKind, str] = {
    "rates": "batch_size",
    "lengths": "sequence_length",
    "precisions": "precision",
    "accuracy": "precision",
    "load": "serving",
}
# The first of these knobs that varies tells the lines of a plot apart.
_LINE_FIELDS = order_knobs(
    first=("precision", "attention", "threads", "compile", "cache"),
    last=("model", "batch_size", "sequence_length", "new_tokens"),
)
_ONE_VALUE_REASONS: dict[PlotKind, str] = {
    "rates": "one batch size: nothing to trade off",
    "lengths": "only one length was measured",
    "precisions": "only one precision was measured",
    "accuracy": "only one precision was measured",
    "load": "only one load was measured",
}
_NO_PAIR_REASONS: dict[PlotKind, str] = {
    "rates": "no two cells differ in the batch size alone",
    "lengths": "no two cells differ in the length alone",
    "precisions": "no two cells differ in the precision alone",
    "accuracy": "no two cells differ in the precision alone",
    "load": "no two cells differ in the load alone",
}
AB_REASON = "see the A/B verdict (2)"
RACE_REASON = "see the race, which compares all sizes"


@dataclass(frozen=True)
class GroupMember:
    """A cell in a group; `line` is the index of its line in the legend.

    `label` is its batch, its length, its load, or the block of precisions that it belongs to.
    """

    cell: str
    line: int
    label: str


@dataclass(frozen=True)
class PlotGroup:
    """Cells of one plot; `of` names the knobs that they share and others have otherwise."""

    kind: PlotKind
    of: str
    lines: tuple[str, ...]
    members: tuple[GroupMember, ...]


def group_cells(plan: Plan) -> tuple[PlotGroup, ...]:
    """Group the cells of a plan, the kinds in turn: the first of each, the second of each, ...

    The time of a full batch and that of a request that queues do not compare, so no group has both.
    """
    batches, servers = _select_batch_cells(plan), _select_server_cells(plan)
    precisions = _group_precisions(batches) if plan.margin is None else []
    by_kind = [
        _group_by_axis(batches, "rates"),
        _group_by_axis(batches, "lengths"),
        precisions if plan.tuning is None else [],
        [replace(group, kind="accuracy") for group in precisions] if plan.tasks else [],
        _group_loads(servers),
    ]
    longest = max(map(len, by_kind))
    return tuple(kind[i] for i in range(longest) for kind in by_kind if i < len(kind))


def explain_missing_plots(plan: Plan) -> dict[PlotKind, str]:
    """Return, for each kind that the plan has cells for but no group, the reason."""
    kinds = {group.kind for group in group_cells(plan)}
    reasons: dict[PlotKind, str] = {}
    for kind in PLOT_KINDS:
        cells = _select_server_cells(plan) if kind == "load" else _select_batch_cells(plan)
        if kind in kinds or not cells or (kind == "accuracy" and not plan.tasks):
            continue
        varies = len({getattr(cell, AXIS_FIELDS[kind]) for cell in cells}) > 1
        reasons[kind] = _NO_PAIR_REASONS[kind] if varies else _ONE_VALUE_REASONS[kind]
        if kind in ("precisions", "accuracy") and varies:
            if plan.margin is not None:
                reasons[kind] = AB_REASON
            elif plan.tuning is not None:
                reasons[kind] = RACE_REASON
    return reasons


def _select_batch_cells(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is None]


def _select_server_cells(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is not None]


def _find_varying(cells: Sequence[Cell]) -> list[str]:
    return [knob.field for knob in find_varying(cells, BESIDE_OTHERS)]


def _group_by(cells: Iterable[Cell], knobs: Sequence[str]) -> list[list[Cell]]:
    """Group cells that are alike in these knobs."""
    groups: dict[tuple[Hashable, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(getattr(cell, knob) for knob in knobs), []).append(cell)
    return list(groups.values())


def _format_knobs(cell: Cell, knobs: Iterable[str], cells: Sequence[Cell]) -> str:
    """Format knobs of a cell; of its model's name what tells it from those of `cells`."""
    models = shorten_alike(tuple(dict.fromkeys(other.model_name for other in cells)))
    return " · ".join(
        models[cell.model_name] if knob == "model" else format_knob(cell, knob) for knob in knobs
    )


def _group_by_axis(cells: Sequence[Cell], kind: PlotKind) -> list[PlotGroup]:
    """Group cells over the axis of `kind`: one knob tells lines apart, the others the groups."""
    axis = AXIS_FIELDS[kind]
    differ = [knob for knob in _find_varying(cells) if knob != axis]
    line = next((knob.field for knob in _LINE_FIELDS if knob.field in differ), "precision")
    fixed = [knob for knob in differ if knob != line]
    groups = []
    for group in _group_by(cells, fixed):
        if len({getattr(cell, axis) for cell in group}) < 2:
            continue
        names = list(dict.fromkeys(format_knob(cell, line) for cell in group))
        members = tuple(
            GroupMember(cell.id, names.index(format_knob(cell, line)), str(getattr(cell, axis)))
            for cell in group
        )
        groups.append(PlotGroup(kind, _format_knobs(group[0], fixed, cells), tuple(names), members))
    return groups


def _group_loads(cells: Sequence[Cell]) -> list[PlotGroup]:
    """Group the loads of each server; scenarios are lines of one plot, as they answer the same."""
    differ = _find_varying(cells)
    several = len({cell.scenario for cell in cells}) > 1
    line = (
        "scenario"
        if several
        else next((knob.field for knob in _LINE_FIELDS if knob.field in differ), "scenario")
    )
    fixed = [knob for knob in differ if knob != line]
    groups = []
    for group in _group_by(cells, fixed):
        if len(group) < 2:
            continue
        servers = list(dict.fromkeys(cell.server for cell in group))
        names = _name_servers(servers, line)
        members = tuple(
            GroupMember(
                cell.id,
                servers.index(cell.server),
                cell.offered.removeprefix(cell.scenario).strip(),
            )
            for cell in group
        )
        groups.append(PlotGroup("load", _format_knobs(group[0], fixed, cells), names, members))
    return groups


def _name_servers(servers: Sequence[Cell], line: str) -> tuple[str, ...]:
    """Name servers by the knob `line`; those alike in it also by how many requests they serve."""
    names = [format_knob(server, line) for server in servers]
    return tuple(
        f"{name} of {server.serving.max_batch}"
        if server.serving is not None and names.count(name) > 1
        else name
        for name, server in zip(names, servers, strict=True)
    )


def _group_precisions(cells: Sequence[Cell]) -> list[PlotGroup]:
    """Group the precisions of each piece of work, one plot a model."""
    others = [knob for knob in _find_varying(cells) if knob != "precision"]
    models = [knob for knob in others if knob == "model"]
    beside = [knob for knob in others if knob != "model"]
    groups = []
    for group in _group_by(cells, models):
        blocks = [b for b in _group_by(group, beside) if len({c.precision for c in b}) > 1]
        compared = [cell for block in blocks for cell in block]
        if not compared:
            continue
        names = list(dict.fromkeys(cell.precision for cell in compared))
        members = tuple(
            GroupMember(cell.id, names.index(cell.precision), _format_knobs(cell, beside, cells))
            for cell in compared
        )
        groups.append(
            PlotGroup("precisions", _format_knobs(group[0], models, cells), tuple(names), members)
        )
    return groups
