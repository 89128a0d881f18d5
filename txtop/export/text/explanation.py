"""Write explanations as plain text: where a step's time goes, and the findings with evidence."""

from __future__ import annotations

import re

from txtop.analysis.explanation import (
    PHASE_NAMES,
    Piece,
    build_explanation_notes,
    build_pieces,
    describe_closure,
)
from txtop.analysis.findings import CellFinding, find_findings
from txtop.analysis.roofline import explain_missing_roofs
from txtop.export.text.columns import align_columns
from txtop.formatting import MISSING, format_figure, format_share
from txtop.plan import labels
from txtop.plan.knobs import describe_change
from txtop.protocol.events import Explanation, PhaseExplanation
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState

HEADING = (
    ("part", "<"),
    ("ms", ">"),
    ("share", ">"),
    ("of it Python", ">"),
    ("bandwidth", ">"),
    ("arithmetic", ">"),
)
LISTED_OPERATORS = 8
_INDENT = "  "


def format_explanations(state: SessionState) -> list[str]:
    """Return the lines of all explanations of a session; empty if it has none."""
    lines: list[str] = []
    for name, explanation in state.explanations.items():
        own = state.cells[name]
        lines += [""] if lines else []
        if explanation.phases:
            lines += _format_explanation(state, own, explanation)
        else:
            label = labels.format_short_label(own.cell)
            reason = f"{label} is not explained: {explanation.failed}"
            lines.append(sanitise(f"{reason}: x on its screen explains it in a new run"))
    return lines


def _format_explanation(state: SessionState, own: CellState, explanation: Explanation) -> list[str]:
    lines = []
    for phase in explanation.phases:
        label = labels.format_short_label(own.cell)
        lines += [*_format_phase(state, own, phase, label), ""]
    lines += format_findings(find_findings(state, own))
    notes = [why] if (why := explain_missing_roofs(state, own) or _name_uncounted(own)) else []
    notes += build_explanation_notes(state, own, explanation)
    return [sanitise(line) for line in [*lines, *notes]]


def _name_uncounted(own: CellState) -> str:
    """Return why a cell has no shares although its roofs are known; empty if it has."""
    if own.cell.compile == "none":
        return ""
    return "no share of bandwidth and arithmetic: the work of compiled code is not counted"


def _format_phase(
    state: SessionState, own: CellState, phase: PhaseExplanation, label: str
) -> list[str]:
    step_ms = phase.step_ns / 1e6
    lines = [
        f"a {PHASE_NAMES[phase.name]} of {label}: {format_figure(step_ms)} ms"
        f"  ({describe_closure(phase)})"
    ]
    if phase.busy_ns is not None:
        lines[0] += f"  GPU busy {format_share(phase.busy_ns / phase.step_ns)}"
    rows = [_build_row(piece, phase) for piece in build_pieces(state, own, phase)]
    table = align_columns(HEADING, [[name for name, _ in HEADING], *rows])
    lines += [_INDENT + line for line in table]
    lines += [_INDENT + line for line in _format_operators(phase)]
    return lines


def _build_row(piece: Piece, phase: PhaseExplanation) -> list[str]:
    return [
        piece.name,
        format_figure(piece.ns / 1e6),
        format_share(piece.ns / phase.step_ns),
        format_share(piece.python_ns / piece.ns) if piece.ns else MISSING,
        MISSING if piece.bandwidth_share is None else format_share(piece.bandwidth_share),
        MISSING if piece.flops_share is None else format_share(piece.flops_share),
    ]


def _format_operators(phase: PhaseExplanation) -> list[str]:
    listed = [
        f"{operator.kind} {_shorten_operator(operator.name)}"
        f" {format_figure(max(operator.ns, operator.device_ns) / 1e6)} ms"
        for operator in phase.operators[:LISTED_OPERATORS]
    ]
    return [f"operators: {', '.join(listed)}"] if listed else []


def _shorten_operator(name: str) -> str:
    """Return the name of an operator without its library; of a compiled graph without its hash."""
    return re.sub(r"^## Call CompiledFxGraph \w+ ##$", "graph", name.removeprefix("aten::"))


def format_findings(findings: list[CellFinding]) -> list[str]:
    """Return lines for each finding: its evidence, its threshold, and what to try."""
    if not findings:
        return ["no finding: no rule holds"]
    lines = ["why, by what it costs a request at most:"]
    for finding in findings:
        cost = "-" if finding.cost is None else format_share(finding.cost)
        lines.append(f"  {cost:>5}  {finding.title}: {finding.evidence}")
        tried = "; ".join(describe_change(change) for change in finding.changes)
        lines.append(f"         {finding.threshold}")
        lines += [f"         try {tried}"] if tried else []
    return lines
