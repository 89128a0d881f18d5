"""What the cells of a plan can be weighed by: one sheet a plot, before anything is measured."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from txtop.plan.cell import Cell
from txtop.plan.knobs import find_varying, order_knobs
from txtop.plan.labels import BESIDE_OTHERS, format_knob
from txtop.plan.plan import Plan

PlotKind = Literal["rates", "lengths", "precisions", "load"]
PLOT_KINDS: tuple[PlotKind, ...] = ("rates", "lengths", "precisions", "load")
AXIS_FIELDS: dict[PlotKind, str] = {
    "rates": "batch_size",
    "lengths": "sequence_length",
    "precisions": "precision",
    "load": "serving",
}
# The knob that tells lines apart is the first of these that varies.
_LINE_FIELDS = order_knobs(
    first=("precision", "attention", "threads", "compile", "cache"),
    last=("model", "batch_size", "sequence_length", "new_tokens"),
)
_ONE_VALUE_REASONS: dict[PlotKind, str] = {
    "rates": "one batch size: nothing to trade off",
    "lengths": "only one length was measured",
    "precisions": "only one precision was measured",
    "load": "only one load was measured",
}
_NO_PAIR_REASONS: dict[PlotKind, str] = {
    "rates": "no two cells differ in the batch size alone",
    "lengths": "no two cells differ in the length alone",
    "precisions": "no two cells differ in the precision alone",
    "load": "no two cells differ in the load alone",
}
AB_REASON = "see the A/B verdict (2)"


@dataclass(frozen=True)
class GroupMember:
    """A cell on a sheet: the place of its line in the legend, and what stands beside it: its
    batch, its length, or the block of precisions that it belongs to."""

    cell: str
    line: int
    label: str


@dataclass(frozen=True)
class PlotGroup:
    """Cells that one plot shows; `of` names the knobs that they share and others have otherwise."""

    kind: PlotKind
    of: str
    lines: tuple[str, ...]
    members: tuple[GroupMember, ...]


def group_cells(plan: Plan) -> tuple[PlotGroup, ...]:
    """Every sheet of a plan, its kinds in turns: the first of each, the second of each, ...

    What a full batch takes and what a request waits do not compare, so no sheet has both.
    """
    batches, servers = _select_batch_cells(plan), _select_server_cells(plan)
    each = [
        _group_by_axis(batches, "rates"),
        _group_by_axis(batches, "lengths"),
        _group_precisions(batches) if plan.margin is None else [],
        _group_loads(servers),
    ]
    longest = max(map(len, each))
    return tuple(kind[i] for i in range(longest) for kind in each if i < len(kind))


def explain_missing_plots(plan: Plan) -> dict[PlotKind, str]:
    """Why there is no sheet of a kind that the plan has cells for, in words."""
    known = {sheet.kind for sheet in group_cells(plan)}
    found: dict[PlotKind, str] = {}
    for kind in PLOT_KINDS:
        cells = _select_server_cells(plan) if kind == "load" else _select_batch_cells(plan)
        if kind in known or not cells:
            continue
        varies = len({getattr(cell, AXIS_FIELDS[kind]) for cell in cells}) > 1
        found[kind] = _NO_PAIR_REASONS[kind] if varies else _ONE_VALUE_REASONS[kind]
        if kind == "precisions" and varies and plan.margin is not None:
            found[kind] = AB_REASON
    return found


def _select_batch_cells(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is None]


def _select_server_cells(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is not None]


def _find_varying(cells: Sequence[Cell]) -> list[str]:
    return [knob.field for knob in find_varying(cells, BESIDE_OTHERS)]


def _group_by(cells: Iterable[Cell], knobs: Sequence[str]) -> list[list[Cell]]:
    """Cells that are alike in these knobs, together."""
    found: dict[tuple[Hashable, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, knob) for knob in knobs), []).append(cell)
    return list(found.values())


def _format_knobs(cell: Cell, knobs: Iterable[str]) -> str:
    return " · ".join(format_knob(cell, knob) for knob in knobs)


def _group_by_axis(cells: Sequence[Cell], kind: PlotKind) -> list[PlotGroup]:
    """Cells over the axis of `kind`: one knob tells the lines apart, the others the sheets."""
    axis = AXIS_FIELDS[kind]
    differ = [knob for knob in _find_varying(cells) if knob != axis]
    line = next((knob.field for knob in _LINE_FIELDS if knob.field in differ), "precision")
    fixed = [knob for knob in differ if knob != line]
    found = []
    for group in _group_by(cells, fixed):
        if len({getattr(cell, axis) for cell in group}) < 2:
            continue
        names = list(dict.fromkeys(format_knob(cell, line) for cell in group))
        members = tuple(
            GroupMember(cell.id, names.index(format_knob(cell, line)), str(getattr(cell, axis)))
            for cell in group
        )
        found.append(PlotGroup(kind, _format_knobs(group[0], fixed), tuple(names), members))
    return found


def _group_loads(cells: Sequence[Cell]) -> list[PlotGroup]:
    """The loads of each server; scenarios are lines of one sheet, for they answer the same."""
    differ = _find_varying(cells)
    several = len({cell.scenario for cell in cells}) > 1
    line = (
        "scenario"
        if several
        else next((knob.field for knob in _LINE_FIELDS if knob.field in differ), "scenario")
    )
    fixed = [knob for knob in differ if knob != line]
    found = []
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
        found.append(PlotGroup("load", _format_knobs(group[0], fixed), names, members))
    return found


def _name_servers(servers: Sequence[Cell], line: str) -> tuple[str, ...]:
    """By the knob that tells them apart; those that are alike in it by how many they serve."""
    words = [format_knob(server, line) for server in servers]
    return tuple(
        f"{name} of {server.serving.max_batch}"
        if server.serving is not None and words.count(name) > 1
        else name
        for name, server in zip(words, servers, strict=True)
    )


def _group_precisions(cells: Sequence[Cell]) -> list[PlotGroup]:
    """The precisions of each piece of work, one sheet a model."""
    others = [knob for knob in _find_varying(cells) if knob != "precision"]
    models = [knob for knob in others if knob == "model"]
    beside = [knob for knob in others if knob != "model"]
    found = []
    for group in _group_by(cells, models):
        blocks = [b for b in _group_by(group, beside) if len({c.precision for c in b}) > 1]
        shown = [cell for block in blocks for cell in block]
        if not shown:
            continue
        names = list(dict.fromkeys(cell.precision for cell in shown))
        members = tuple(
            GroupMember(cell.id, names.index(cell.precision), _format_knobs(cell, beside))
            for cell in shown
        )
        found.append(
            PlotGroup("precisions", _format_knobs(group[0], models), tuple(names), members)
        )
    return found
