"""Figures that were published for what a preset measures, beside those of this session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.plan.cell import Cell
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState

Chooses = Callable[[Cell], bool]


@dataclass(frozen=True)
class Published:
    """One figure: where it was measured, of what, and which cell here is asked the same."""

    machine: str
    what: str
    value: float
    unit: str
    cell: Chooses
    metric: str = "sequences_per_s"


def _length(tokens: int) -> Chooses:
    return lambda cell: cell.sequence_length == tokens


def _batch(size: int) -> Chooses:
    return lambda cell: cell.batch_size == size


_A100, _XEON, _GPU = "A100", "12-core Xeon", "a GPU that is not named"
# PEERS, "Figures a user may hold txtop against": the article this project started with.
FIGURES: dict[str, tuple[Published, ...]] = {
    "bert-seqlen": (
        Published(_A100, "BERT-base, batch 32, 128 tokens", 1200, "seq/s", _length(128)),
        Published(_A100, "BERT-base, batch 32, 512 tokens", 340, "seq/s", _length(512)),
    ),
    "gpt2-attention": (
        Published(
            _GPU, "GPT-2 medium", 89, "tok/s", lambda c: c.attention == "eager", "tokens_per_s"
        ),
        Published(
            _GPU,
            "GPT-2 medium, Flash Attention 2",
            142,
            "tok/s",
            lambda c: c.attention != "eager",
            "tokens_per_s",
        ),
    ),
    "bert-int8-cpu": (
        Published(_XEON, "BERT-base fp32", 47, "seq/s", lambda c: c.precision == "fp32"),
        Published(_XEON, "BERT-base int8", 156, "seq/s", lambda c: c.precision != "fp32"),
    ),
    "batch-tradeoff": (
        Published(_GPU, "batch 1", 45, "seq/s", _batch(1)),
        Published(_GPU, "batch 64", 2000, "seq/s", _batch(64)),
        Published(_GPU, "batch 1", 22, "ms", _batch(1), "e2e_ms"),
        Published(_GPU, "batch 64", 800, "ms", _batch(64), "e2e_ms"),
    ),
}
CONTRADICTIONS = {
    "batch-tradeoff": "published figures contradict each other: 64 sequences in 800 ms are 80 a "
    "second, not 2,000",
}


def lines(
    state: SessionState, finals: FinalMetrics, figure: Callable[[float | None], str]
) -> list[str]:
    """Each published figure beside this session's and their ratio, then how two figures relate.

    Empty where the plan has no preset, or one without published figures.
    """
    plan = state.plan
    known = FIGURES.get(plan.preset or "", ())
    said = []
    if known and plan.scale == "smoke":
        said.append("published figures are of larger configurations: --scale smoke shrank these")
    if plan.preset in CONTRADICTIONS and known:
        said.append(CONTRADICTIONS[plan.preset])
    for before, now in zip((None, *known), known, strict=False):
        own = _own(now, state, finals)
        here = _words(own, now, figure)
        said.append(
            f"published ({now.machine}): {now.what}: {figure(now.value)} {now.unit} · here {here}"
        )
        if before is not None and before.unit == now.unit:
            first = _own(before, state, finals)
            here = f"{figure(own[0] / first[0])}x" if own and first else figure(None)
            share = figure(now.value / before.value)
            said.append(f"  the second over the first: published {share}x · here {here}")
    return said


def _words(
    own: tuple[float, Cell] | None, now: Published, figure: Callable[[float | None], str]
) -> str:
    """This session's figure and the cell it is of: options may have changed the preset."""
    if own is None:
        return figure(None)
    mean, cell = own
    of = sanitise(cell.short, 120)
    return f"{figure(mean)} {now.unit} ({of}), {figure(mean / now.value)}x of it"


def _own(
    published: Published, state: SessionState, finals: FinalMetrics
) -> tuple[float, Cell] | None:
    """The mean of the cell that was asked the same; the fastest where several were."""
    found = [
        (mean, cell.cell)
        for cell in state.cells.values()
        if cell.cell.serving is None
        and published.cell(cell.cell)
        and (mean := _mean(cell, published.metric, state, finals))
    ]
    best = min if published.metric.endswith("_ms") else max
    return best(found, key=lambda one: one[0]) if found else None


def _mean(cell: CellState, metric: str, state: SessionState, finals: FinalMetrics) -> float | None:
    if cell.status != "ok" or cell.invalid or metric not in metrics.PER_ITERATION:
        return None
    summary = finals.of(cell, state.plan.seed).get(metric)
    return summary.mean if summary else None
