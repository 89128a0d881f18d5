"""The explanations of a session as the JSON export holds them: parts, modules, findings.

The slices of a profile are left out: `--format chrome-trace` writes them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from txtop.analysis.explanation import build_explanation_notes, compute_closure
from txtop.analysis.findings import find_findings
from txtop.protocol.events import PhaseExplanation
from txtop.state.session import SessionState


class FindingExport(msgspec.Struct, kw_only=True):
    """A finding; `cost` is a share of a request or null, `changes` are knobs to try, arm by arm."""

    rule: str
    title: str
    evidence: str
    threshold: str
    cost: float | None
    changes: list[dict[str, Any]]


class ExplanationExport(msgspec.Struct, kw_only=True):
    """The explanation of one cell.

    `phases` are as in the event `explanation`; `closure` has the sum of the parts of each over its
    step, `notes` say how far to trust all of it.
    """

    cell: str
    failed: str
    threads: int
    cores: int
    padded_share: float
    phases: list[PhaseExplanation]
    closure: dict[str, float]
    findings: list[FindingExport]
    notes: list[str]


def export_explanations(state: SessionState) -> list[ExplanationExport]:
    """Build the explanations of a session."""
    return [
        ExplanationExport(
            cell=cell,
            failed=explanation.failed,
            threads=explanation.threads,
            cores=explanation.cores,
            padded_share=explanation.padded_share,
            phases=explanation.phases,
            closure={phase.name: compute_closure(phase) for phase in explanation.phases},
            findings=[
                FindingExport(
                    rule=finding.rule,
                    title=finding.title,
                    evidence=finding.evidence,
                    threshold=finding.threshold,
                    cost=finding.cost,
                    changes=[dict(change) for change in finding.changes],
                )
                for finding in find_findings(state, state.cells[cell])
            ],
            notes=build_explanation_notes(state, state.cells[cell], explanation),
        )
        for cell, explanation in state.explanations.items()
    ]
