"""Findings: why a cell is slow, the most costly reason first, and the changes worth a try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from txtop.analysis.finding_facts import Facts
from txtop.analysis.finding_rules import RULES, Changes
from txtop.plan.cell import Cell
from txtop.state.cell import CellState
from txtop.state.session import SessionState


@dataclass(frozen=True)
class CellFinding:
    """A reason why a cell is slow. `cost` is a share of a request, None where none is stated.

    `changes` are arms to try: the knobs of each that differ from those of the cell.
    """

    rule: str
    title: str
    evidence: str
    threshold: str
    cost: float | None
    changes: Changes


def find_findings(session: SessionState, state: CellState) -> list[CellFinding]:
    """Return what holds of a cell, the most costly first; empty if it is not explained."""
    explanation = session.explanations.get(state.cell.id)
    if explanation is None or not explanation.phases:
        return []
    facts = Facts(session, state, explanation)
    findings = [
        CellFinding(
            rule=rule.name,
            title=rule.title,
            evidence=judgement.evidence,
            threshold=rule.threshold,
            cost=_compute_share(judgement.cost_ns, facts.request_ns),
            changes=judgement.changes,
        )
        for rule in RULES
        if (judgement := rule.judge(facts)) is not None
    ]
    return sorted(findings, key=lambda finding: -(finding.cost or 0.0))


def _compute_share(cost_ns: float | None, request_ns: int) -> float | None:
    return None if cost_ns is None else min(1.0, cost_ns / request_ns)


def iterate_changes(cell: Cell, findings: list[CellFinding]) -> Iterator[Mapping[str, Any]]:
    """Yield the changes of all findings, the most costly first, each once."""
    seen = {msgspec.structs.replace(cell, id="")}
    for finding in findings:
        for change in finding.changes:
            changed = msgspec.structs.replace(cell, id="", **change)
            if changed not in seen:
                seen.add(changed)
                yield change
