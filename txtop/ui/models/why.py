"""Where the time of a cell goes, on the screen: the bars of its steps, findings, its modules."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis.explanation import (
    KIND_NAMES,
    PHASE_NAMES,
    build_explanation_notes,
    build_pieces,
    describe_closure,
    describe_present_step,
    rank_phases,
)
from txtop.analysis.findings import CellFinding, find_findings
from txtop.analysis.roofline import list_roof_facts
from txtop.formatting import format_figure, format_share
from txtop.plan.knobs import describe_change
from txtop.protocol.events import Explanation, ModuleTime, PhaseExplanation
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache

ANEW = "press x to explain it in a new run"


@dataclass(frozen=True)
class StepBar:
    """The bar of a step: its name, its time, and its pieces by (name, share, share in Python)."""

    name: str
    ms: str
    pieces: tuple[tuple[str, float, float], ...]
    remark: str


@dataclass(frozen=True)
class FindingRow:
    """A finding: its cost as a text, empty for a roof, its evidence and what can be tried."""

    cost: str
    title: str
    evidence: str
    threshold: str
    tries: tuple[str, ...]


@dataclass(frozen=True)
class ModuleRow:
    """A module of the tree: its path, its name, how deep it lies, and its share of a step.

    `kind` is what the bar calls it; empty for one that only holds others.
    """

    path: str
    name: str
    depth: int
    kind: str
    ms: str
    share: float
    opens: bool


@dataclass(frozen=True)
class WhyView:
    """The explanation of a cell.

    `pending` says what is awaited, or why there is none; `is_missing` if another run can make it.
    The bar of the step that takes the most of
    a request stands first; `modules` are those of this step, each before those within it.
    """

    bars: tuple[StepBar, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    modules: tuple[ModuleRow, ...] = ()
    notes: tuple[str, ...] = ()
    pending: str = ""
    is_missing: bool = False


def build_why(
    state: SessionState, own: CellState | None, cache: FrameCache, *, is_over: bool = False
) -> WhyView | None:
    """Build the explanation of a cell; None if the session neither has nor makes one of it.

    `is_over` tells that nothing follows, though the log may have no end.
    """
    if own is None:
        return None
    explanation = state.explanations.get(own.cell.id)
    if explanation is None:
        if not state.plan.explain:
            return None
        return _build_absence(state, own, is_over=is_over)
    if not explanation.phases:
        reason = explanation.failed or "its steps were not profiled"
        return WhyView(pending=f"not explained: {reason}; {ANEW}", is_missing=True)
    made_of = (explanation, own.stage, len(own.samples), list_roof_facts(state))
    return cache.get_or_make("why", made_of, lambda: _build(state, own, explanation))


def _build_absence(state: SessionState, own: CellState, *, is_over: bool) -> WhyView:
    """Say what an explanation waits for, or why there will be none."""
    if own.over and own.status != "ok":
        return WhyView(pending=f"not explained: the cell was not measured ({own.status})")
    if state.ended is not None or is_over:
        reason = "not explained: the run ended before the profile"
        return WhyView(pending=f"{reason}; {ANEW}", is_missing=True)
    if own.status != "ok":
        return WhyView(pending="it follows once the cell was measured")
    step = describe_present_step(state, own.cell.id)
    return WhyView(pending=step or "measured; its explanation follows")


def _build(state: SessionState, own: CellState, explanation: Explanation) -> WhyView:
    phases = rank_phases(explanation, own)
    return WhyView(
        bars=tuple(
            StepBar(
                name=PHASE_NAMES[phase.name],
                ms=format_figure(phase.step_ns / 1e6),
                pieces=tuple(
                    (piece.name, piece.ns / phase.step_ns, piece.python_ns / phase.step_ns)
                    for piece in build_pieces(state, own, phase)
                ),
                remark=describe_closure(phase),
            )
            for phase in phases
        ),
        findings=tuple(_build_finding(finding) for finding in find_findings(state, own)),
        modules=_build_modules(phases[0]),
        notes=tuple(build_explanation_notes(state, own, explanation)),
    )


def _build_finding(finding: CellFinding) -> FindingRow:
    return FindingRow(
        cost="" if finding.cost is None else format_share(finding.cost),
        title=finding.title,
        evidence=finding.evidence,
        threshold=finding.threshold,
        tries=tuple(describe_change(change) for change in finding.changes),
    )


def _build_modules(phase: PhaseExplanation) -> tuple[ModuleRow, ...]:
    """Return the modules, each before those within it, with how deep it lies in the tree."""
    by_path = {module.path: module for module in phase.modules if module.path}
    rows: list[ModuleRow] = []

    def descend(parent: str, depth: int) -> None:
        children = [path for path in by_path if _find_parent(path, by_path) == parent]
        children.sort(key=lambda path: _rank(by_path[path]))
        for path in children:
            rows.append(_build_module(by_path[path], parent, depth, by_path, phase))
            descend(path, depth + 1)

    descend("", 0)
    return tuple(rows)


def _build_module(
    module: ModuleTime,
    parent: str,
    depth: int,
    by_path: dict[str, ModuleTime],
    phase: PhaseExplanation,
) -> ModuleRow:
    path = module.path
    on_gpu = phase.busy_ns is not None
    ns = module.device_ns if on_gpu else module.ns
    return ModuleRow(
        path=path,
        name=path[len(parent) + 1 :] if parent else path,
        depth=depth,
        kind="" if module.kind == "rest" else KIND_NAMES.get(module.kind, module.kind),
        ms=format_figure(ns / 1e6),
        share=ns / phase.step_ns if phase.step_ns else 0.0,
        opens=any(_find_parent(other, by_path) == path for other in by_path if other != path),
    )


def _find_parent(path: str, by_path: dict[str, ModuleTime]) -> str:
    """Return the nearest module around `path` that has a time of its own; empty for none."""
    parent = path
    while "." in parent:
        parent = parent.rpartition(".")[0]
        if parent in by_path:
            return parent
    return ""


def _rank(module: ModuleTime) -> tuple[bool, int, str]:
    """Return the place of a module beside others: layers by number, then the rest by time."""
    last = module.path.rpartition(".")[2]
    is_layer = last.isdigit()
    return (not is_layer, int(last) if is_layer else -module.ns, module.path)
