"""Findings: figures that are judged by one table of bounds, and facts that hold or do not.

A finding of the scope `gpu` or `timing` is not judged in a rehearsal: a CPU with tiny models says
nothing about it. Everything here is pure, so that each judgement is tested on made-up results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

PRINTED = "|"
"""The name of a finding that only carries a line of a printed report."""

Scope = Literal["always", "gpu", "timing"]


@dataclass(frozen=True)
class Bound:
    """The range in which a figure must be; an end that is None is open."""

    low: float | None
    high: float | None
    unit: str
    scope: Scope


@dataclass(frozen=True)
class Finding:
    """One judgement: its name, if it holds, and the figure behind it as text."""

    name: str
    holds: bool
    detail: str
    scope: Scope = "always"

    def counts(self, *, rehearsal: bool) -> bool:
        """Return True if it decides about its step."""
        return self.scope == "always" or not rehearsal


# Every threshold of the acceptance run, by the name of its figure. Shares are ratios, 1 is equal.
BOUNDS: dict[str, Bound] = {
    # Call 1
    "NVML, all fast fields once": Bound(0, 10, "ms", "gpu"),
    "energy counter, longest step": Bound(0, 100, "ms", "gpu"),
    "tests on the GPU that passed": Bound(6, None, "", "gpu"),
    "after a profile of the host": Bound(0.99, 1.01, "x", "timing"),
    "a streamer": Bound(0.99, 1.01, "x", "timing"),
    "the worker": Bound(0.99, 1.01, "x", "timing"),
    "the sampler": Bound(0.99, 1.01, "x", "timing"),
    "the sampler, p99": Bound(0.95, 1.05, "x", "timing"),
    "mbu": Bound(0.0001, 99.99, "%", "gpu"),
    "mfu": Bound(0.0001, 99.99, "%", "gpu"),
    "allocated, bf16 over fp32": Bound(0.01, 0.6, "x", "gpu"),
    "mfu of BERT, bf16, batch 32": Bound(15, 99.99, "%", "gpu"),
    "power over idle": Bound(1.2, None, "x", "gpu"),
    "joules of the counter over integrated power": Bound(0.9, 1.1, "x", "gpu"),
    "net joules a token": Bound(1e-12, None, "J/tok", "gpu"),
    # Call 2
    "TPOT, reduce-overhead over none": Bound(0, 0.6, "x", "gpu"),
    "graphs recorded while measuring": Bound(0, 0, "", "always"),
    "TPOT, after a longer static cache": Bound(0.97, 1.03, "x", "timing"),
    "allocated, after a longer static cache": Bound(1, 1, "x", "gpu"),
    "int8 compiled over int8 eager": Bound(0, 1.03, "x", "gpu"),
    "seconds until the memory is free": Bound(0, 5, "s", "gpu"),
    "blocks of an A/B": Bound(10, None, "", "timing"),
    "device peak over one arm's": Bound(0, 1.8, "x", "gpu"),
    # Call 3
    "perplexity, bf16 over fp32": Bound(0.99, 1.01, "x", "gpu"),
    "floor of the comparison": Bound(0, 1e-5, "nats", "always"),
    "KLD of int8": Bound(0, 0.02, "nats", "always"),
    "speed, other transformers": Bound(0.95, 1.05, "x", "timing"),
    "fp32 requests with the same output": Bound(1, 1, "", "always"),
    "reserved by continuous batching, of the GPU": Bound(0, 0.8, "x", "gpu"),
    # Call 4
    "parts over the step": Bound(0.98, 1.02, "x", "always"),
    "factor of the parts": Bound(0.9, 1.1, "x", "timing"),
    "kernels by module over busy": Bound(0.9, 1.1, "x", "gpu"),
}


def judge(name: str, value: float | None, about: str = "") -> Finding:
    """Hold a figure to its bound; a figure that is None does not hold."""
    bound = BOUNDS[name]
    title = f"{name}, {about}" if about else name
    if value is None:
        return Finding(title, False, "no figure", bound.scope)
    holds = (bound.low is None or value >= bound.low) and (
        bound.high is None or value <= bound.high
    )
    low = "" if bound.low is None else f"{bound.low:g}"
    high = "" if bound.high is None else f"{bound.high:g}"
    detail = f"{value:.4g}{bound.unit and ' ' + bound.unit}"
    return Finding(
        title, holds, detail if holds else f"{detail}, not in [{low}, {high}]", bound.scope
    )


def fact(name: str, holds: object, detail: object = "", scope: Scope = "always") -> Finding:
    """Return a finding about what must be so."""
    return Finding(name, bool(holds), str(detail), scope)


def value_of(cell: Mapping[str, Any], metric: str, statistic: str = "median") -> float | None:
    """Return a statistic of a cell's metric, None if there is none."""
    summary = cell.get("metrics", {}).get(metric)
    if summary is None:
        return None
    number = summary.get(statistic)
    if number is None and statistic == "median":
        number = summary.get("mean")
    return None if number is None else float(number)


def divide(value: float | None, by: float | None) -> float | None:
    """Return the ratio, None if a side is unknown or the divisor is 0."""
    return None if value is None or not by else value / by


def middle(values: Iterable[float]) -> float | None:
    """Return the median, None of nothing."""
    ordered = list(values)
    return median(ordered) if ordered else None


def quantile(values: Iterable[float], share: float) -> float | None:
    """Return the value below which `share` of them are (nearest rank), None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def is_model(cell: Mapping[str, Any], name: str) -> bool:
    """Return True for a cell of that built-in model, or of the folder that stands for it."""
    return str(cell["model"]).rstrip("/").rpartition("/")[2] == name


def select(cells: Sequence[Mapping[str, Any]], **wanted: Any) -> list[Mapping[str, Any]]:
    """Return the cells with all these values; `model` is a name or a list of names."""
    return [
        cell
        for cell in cells
        if all(
            is_model(cell, value) if key == "model" else cell.get(key) == value
            for key, value in wanted.items()
        )
    ]


def name_cell(cell: Mapping[str, Any]) -> str:
    """Return a short name of a cell for a finding."""
    model = str(cell["model"]).rstrip("/").rpartition("/")[2]
    parts = [model, cell["precision"], cell["attention"], f"b{cell['batch_size']}"]
    parts += [cell[key] for key in ("compile", "cache") if cell[key] not in ("none", "dynamic")]
    if cell.get("scenario", "static") != "static":
        parts.append(cell["scenario"])
    return " ".join(map(str, parts))


def judge_statuses(cells: Sequence[Mapping[str, Any]], expected: int, device: str) -> list[Finding]:
    """Judge that as many cells as expected are there, all ok, on `device`, without NaN and Inf."""
    wrong = [f"{name_cell(c)}: {c['status']} {c['reason']}" for c in cells if c["status"] != "ok"]
    elsewhere = [
        f"{name_cell(c)}: {c['device']}" for c in cells if not str(c["device"]).startswith(device)
    ]
    bad = [name_cell(c) for c in cells if c["invalid"]]
    return [
        fact("cells", len(cells) == expected, f"{len(cells)} of {expected}"),
        fact("all cells ok", not wrong, "; ".join(wrong)),
        fact(f"all on {device}", not elsewhere, "; ".join(elsewhere)),
        fact("no NaN, no Inf", not bad, "; ".join(bad)),
    ]


def format_findings(findings: Sequence[Finding], *, rehearsal: bool) -> list[str]:
    """Return a line for each finding: its mark, name and detail."""
    lines = []
    for finding in findings:
        mark = "ok " if finding.holds else "NOT"
        if not finding.counts(rehearsal=rehearsal):
            mark = "   "
        if finding.name == PRINTED:
            lines.append(f"    {finding.detail}")
            continue
        lines.append(f"{mark} {finding.name}" + (f": {finding.detail}" if finding.detail else ""))
    return lines
