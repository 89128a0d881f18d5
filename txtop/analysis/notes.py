"""Build the notes that a reader needs beside the figures of a cell.

The text tables, the exports and the cell detail print the same ones.
"""

from __future__ import annotations

from txtop.analysis import contention, device_time, drafts, metrics, roofline, serving
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.places import build_place_notes
from txtop.analysis.products import name_products
from txtop.formatting import format_count, format_few
from txtop.plan.option_names import spell_options, takes_lists
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import FEW_SAMPLES

UNEVEN_SCENARIOS = ("single", "dynamic")
"""Those whose calls have the lengths of the requests, each a shape of its own."""
PLANS_NOTE = (
    "attention by cuDNN, which makes a plan for each new shape, on the host: latencies contain"
    " that; with TORCH_CUDNN_SDPA_DEPRIORITIZED=1 torch prefers other kernels"
)


def build_serving_notes(state: CellState) -> list[str]:
    """Return the notes on a cell that served requests: what bends their latencies, what is left."""
    notes = []
    ran = state.kernels
    if ran and "cudnn" in (ran.prefill, ran.decode) and state.cell.scenario in UNEVEN_SCENARIOS:
        notes.append(PLANS_NOTE)
    if state.saturated:
        notes.append("saturated: more came than was answered: latencies grew with time")
    left = serving.count_totals(state).unanswered
    if left and state.over:
        notes.append(f"{format_count(left, 'request')} unanswered at the end")
    if lateness := serving.describe_lateness(state):
        notes.append(f"load {lateness}")
    return notes


DEQUANTISES = "dequantises the weights in every call"


def build_cell_notes(session: SessionState, state: CellState, finals: FinalMetrics) -> list[str]:
    """Return all notes on a cell, each one once."""
    notes = list(state.load.notes) if state.load else []
    if state.workload:
        notes += state.workload.notes
    if products := name_products(state):
        notes.append(f"matrix products by {products}")
    if state.kernels and state.kernels.dequantises and not any(DEQUANTISES in n for n in notes):
        # Imported late: few cells need it, and all that a session takes to be shown is shorter.
        from txtop.models import precision_kernels

        cell = state.cell
        instead = precision_kernels.suggest_instead(cell.precision)
        instead = spell_options(instead, lists=takes_lists(session.plan))
        notes.append(f"{cell.precision} {DEQUANTISES}: try {instead}")
    if state.load and state.load.weights == "random":
        notes.append(
            "random weights: the real architecture, so the speed is real and the text is not"
        )
    steady_part = finals.steady(state, session.plan.seed)
    n = steady_part.n - steady_part.start
    if state.status == "ok" and n < FEW_SAMPLES:
        notes.append(format_few(n))
    served = state.cell.serving is not None
    notes += build_serving_notes(state) if served else []
    if steady_part.n:
        notes += _build_warmup_notes(session.plan, state)
    notes += filter(None, [*steady_part.notes, metrics.describe_starts(state)])
    notes += _build_what_if_notes(state)
    notes += build_place_notes(session, state)
    notes += _build_disturbance_notes(state)
    notes += roofline.list_accounting_errors(session, state, finals.of(state, session.plan.seed))
    if session.plan.margin is not None and state.memory and state.memory.reserved_bytes is not None:
        notes.append("memory of the whole device withheld: in an A/B it holds all arms")
    notes += device_time.build_device_time_notes(session, state)
    if state.speculation is not None and state.speculation.differs_at is not None:
        notes.append(drafts.describe_equality(state))
    if state.lag:
        notes.append("the streamer was a step late: TTFT and ITL withheld")
    if state.invalid:
        notes.append("INVALID: NaN or Inf in logits")
    return list(dict.fromkeys(notes))


def _build_warmup_notes(plan: Plan, state: CellState) -> list[str]:
    """Return a note if the budget cut the warm-up short of the gate, or of its number."""
    made, served = state.samples.role.count("warmup"), state.cell.serving is not None
    if plan.warmup is None and not served:
        return [] if metrics.is_warm(state) else ["warm-up cut at a quarter of the budget"]
    if state.samples.cut is not None:
        return []
    asked = plan.warmup_requests(state.cell) if served else plan.warmup or 0
    if made >= asked or not (served or (plan.timed and plan.margin is None)):
        return []
    noun = "requests" if served else "iterations"
    return [f"{made} of {asked} warm-up {noun} fit into the budget"]


def _build_what_if_notes(state: CellState) -> list[str]:
    """Return a note if another warm-up cut than the recorded one was chosen."""
    cut, roles = state.samples.cut, state.samples.role
    if cut is None or not roles:
        return []
    checked = sum(role != "measured" for role in roles[1 + cut :])
    slower = f", {checked} of the others carried the checks for NaN" if checked else ""
    return [f"what if: {cut} warm-up iterations{slower}"]


def _build_disturbance_notes(state: CellState) -> list[str]:
    """Return how many blocks the machine disturbed, why, and if they were repeated or kept.

    What others took from blocks that were kept makes the cell busy, and is said first.
    """
    notes = []
    if contention.is_busy(state):
        busy = sum(b.count for b in state.counted_blocks if b.contention)
        notes.append(
            f"{contention.BUSY}: {contention.describe_busy_cell(state)},"
            f" in {busy} of {format_count(len(state.samples.kept()), 'iteration')}; no interval"
        )
    repeated = [b for b in state.blocks if not b.kept]
    for blocks, fate in ((repeated, "repeated"), (state.counted_blocks, "kept")):
        taken = contention.describe_blocks(blocks) if blocks is repeated else ""
        causes = [
            *dict.fromkeys(r for b in blocks for r in contention.list_other_reasons(b)),
            taken,
        ]
        if why := ", ".join(filter(None, causes)):
            notes.append(f"{format_count(len(blocks), 'block')} {fate}: {why}")
    return notes
