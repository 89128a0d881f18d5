"""What the cells of a plan can be weighed by: one sheet a plot, before anything is measured."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from txtop.plan.cell import Cell
from txtop.plan.labels import KNOBS, word
from txtop.plan.plan import Plan

Kind = Literal["rates", "lengths", "precisions", "load"]
KINDS: tuple[Kind, ...] = ("rates", "lengths", "precisions", "load")
AXES: dict[Kind, str] = {
    "rates": "batch_size",
    "lengths": "sequence_length",
    "precisions": "precision",
    "load": "serving",
}
# The knob that tells lines apart is the first of these that varies.
_LINES = (
    "precision",
    "attention",
    "threads",
    "compile",
    "cache",
    "device",
    "weights",
    "model",
    "batch_size",
    "sequence_length",
    "new_tokens",
)
_ALIKE: dict[Kind, str] = {
    "rates": "one batch size: nothing to trade off",
    "lengths": "one length",
    "precisions": "one precision",
    "load": "one load",
}
_ALONE: dict[Kind, str] = {
    "rates": "no two cells differ in the batch size alone",
    "lengths": "no two cells differ in the length alone",
    "precisions": "no two cells differ in the precision alone",
    "load": "no two cells differ in the load alone",
}
A_VERDICT = "the verdict of an A/B says it"


@dataclass(frozen=True)
class Member:
    """A cell on a sheet: the place of its line in the legend, and what stands beside it: its
    batch, its length, or the block of precisions that it belongs to."""

    cell: str
    line: int
    label: str


@dataclass(frozen=True)
class Sheet:
    """Cells that one plot shows; `of` names the knobs that they share and others have otherwise."""

    kind: Kind
    of: str
    lines: tuple[str, ...]
    members: tuple[Member, ...]


def sheets(plan: Plan) -> tuple[Sheet, ...]:
    """Every sheet of a plan, its kinds in turns: the first of each, the second of each, ...

    What a full batch takes and what a request waits do not compare, so no sheet has both.
    """
    batches, servers = _batches(plan), _servers(plan)
    each = [
        _plane(batches, "rates"),
        _plane(batches, "lengths"),
        _bars(batches) if plan.margin is None else [],
        _loads(servers),
    ]
    longest = max(map(len, each))
    return tuple(kind[i] for i in range(longest) for kind in each if i < len(kind))


def absent(plan: Plan) -> dict[Kind, str]:
    """Why there is no sheet of a kind that the plan has cells for, in words."""
    known = {sheet.kind for sheet in sheets(plan)}
    found: dict[Kind, str] = {}
    for kind in KINDS:
        cells = _servers(plan) if kind == "load" else _batches(plan)
        if kind in known or not cells:
            continue
        varies = len({getattr(cell, AXES[kind]) for cell in cells}) > 1
        found[kind] = _ALONE[kind] if varies else _ALIKE[kind]
        if kind == "precisions" and varies and plan.margin is not None:
            found[kind] = A_VERDICT
    return found


def _batches(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is None]


def _servers(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.serving is not None]


def _varying(cells: Sequence[Cell]) -> list[str]:
    return [knob for knob in KNOBS if len({getattr(cell, knob) for cell in cells}) > 1]


def _grouped(cells: Iterable[Cell], knobs: Sequence[str]) -> list[list[Cell]]:
    """Cells that are alike in these knobs, together."""
    found: dict[tuple[Hashable, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, knob) for knob in knobs), []).append(cell)
    return list(found.values())


def _said(cell: Cell, knobs: Iterable[str]) -> str:
    return " · ".join(word(cell, knob) for knob in knobs)


def _plane(cells: Sequence[Cell], kind: Kind) -> list[Sheet]:
    """Cells over the axis of `kind`: one knob tells the lines apart, the others the sheets."""
    axis = AXES[kind]
    varying = [knob for knob in _varying(cells) if knob != axis]
    line = next((knob for knob in _LINES if knob in varying), "precision")
    fixed = [knob for knob in varying if knob != line]
    found = []
    for group in _grouped(cells, fixed):
        if len({getattr(cell, axis) for cell in group}) < 2:
            continue
        names = list(dict.fromkeys(word(cell, line) for cell in group))
        members = tuple(
            Member(cell.id, names.index(word(cell, line)), str(getattr(cell, axis)))
            for cell in group
        )
        found.append(Sheet(kind, _said(group[0], fixed), tuple(names), members))
    return found


def _loads(cells: Sequence[Cell]) -> list[Sheet]:
    """The loads of each server; scenarios are lines of one sheet, for they answer the same."""
    varying = _varying(cells)
    several = len({cell.scenario for cell in cells}) > 1
    line = "scenario" if several else next((knob for knob in _LINES if knob in varying), "scenario")
    fixed = [knob for knob in varying if knob != line]
    found = []
    for group in _grouped(cells, fixed):
        if len(group) < 2:
            continue
        servers = list(dict.fromkeys(cell.server for cell in group))
        names = _server_names(servers, line)
        members = tuple(
            Member(
                cell.id,
                servers.index(cell.server),
                cell.offered.removeprefix(cell.scenario).strip(),
            )
            for cell in group
        )
        found.append(Sheet("load", _said(group[0], fixed), names, members))
    return found


def _server_names(servers: Sequence[Cell], line: str) -> tuple[str, ...]:
    """By the knob that tells them apart; those that are alike in it by how many they serve."""
    words = [word(server, line) for server in servers]
    return tuple(
        f"{name} of {server.serving.max_batch}"
        if server.serving is not None and words.count(name) > 1
        else name
        for name, server in zip(words, servers, strict=True)
    )


def _bars(cells: Sequence[Cell]) -> list[Sheet]:
    """The precisions of each piece of work, one sheet a model."""
    others = [knob for knob in _varying(cells) if knob != "precision"]
    models = [knob for knob in others if knob == "model"]
    beside = [knob for knob in others if knob != "model"]
    found = []
    for group in _grouped(cells, models):
        blocks = [b for b in _grouped(group, beside) if len({c.precision for c in b}) > 1]
        shown = [cell for block in blocks for cell in block]
        if not shown:
            continue
        names = list(dict.fromkeys(cell.precision for cell in shown))
        members = tuple(
            Member(cell.id, names.index(cell.precision), _said(cell, beside)) for cell in shown
        )
        found.append(Sheet("precisions", _said(group[0], models), tuple(names), members))
    return found
