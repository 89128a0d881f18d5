"""The judgements of call 4: an explanation adds up, and its device was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu.figures import Finding, divide, fact, judge


def judge_end(model: str, code: int) -> Finding:
    """Judge the exit code."""
    return fact(f"{model}: exit code 0", code == 0, code)


def judge_explanation(model: str, export: Mapping[str, Any]) -> list[Finding]:
    """Judge the explanation of the only cell of a session."""
    explained = export.get("explanations") or []
    if len(explained) != 1 or not explained[0]["phases"]:
        failed = explained[0]["failed"] if explained else ""
        return [fact(f"{model}: explained", False, failed or "no explanation")]
    findings = [fact(f"{model}: explained", True)]
    for phase in explained[0]["phases"]:
        about = f"{model} {phase['name']}"
        findings.append(judge("parts over the step", sum_parts(phase), about))
        findings.append(judge("factor of the parts", phase["scale"], about))
        busy = phase["busy_ns"]
        on_device = sum(part["device_ns"] for part in phase["parts"])
        findings += [
            fact(f"{about}: the device was seen", busy, busy, "gpu"),
            judge("kernels by module over busy", divide(on_device, busy), about),
            fact(f"{about}: launches", phase["launches"], phase["launches"], "gpu"),
        ]
    rules = [finding["rule"] for finding in explained[0]["findings"]]
    return [*findings, fact(f"{model}: findings", True, ", ".join(rules) or "none")]


def sum_parts(phase: Mapping[str, Any]) -> float | None:
    """Return the sum of the parts over the step."""
    return divide(sum(part["ns"] for part in phase["parts"]), phase["step_ns"])
