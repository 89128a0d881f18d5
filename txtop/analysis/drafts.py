"""Figures of speculative decoding: accepted drafts, tokens of a step, equality with plain decoding.

Formulas: docs/method.md, "Speculative decoding".
"""

from __future__ import annotations

from txtop.formatting import format_count, format_share
from txtop.state.cell import CellState
from txtop.stats.summary import Summary, summarise_single

UNEQUAL = "other tokens"
"""The mark of a cell whose tokens are not those of plain greedy decoding."""


def compute_acceptance(state: CellState) -> float | None:
    """Return the share of the drafted tokens that were accepted; None if none were drafted."""
    return state.accepted / state.drafted if state.drafted else None


def compute_tokens_per_step(state: CellState, places: list[int]) -> float | None:
    """Return the tokens made over the passes that made them, in the iterations at `places`."""
    steps = sum(len(state.samples.gaps(i)) for i in places)
    made = sum(state.samples.tokens[i] for i in places)
    return made / steps if steps and not state.lag else None


def summarise_drafts(state: CellState, places: list[int]) -> dict[str, Summary]:
    """Return the figures of a cell that drafts tokens; empty for any other."""
    if state.cell.speculative == "none" or not places:
        return {}
    share = compute_acceptance(state)
    note = f"{state.accepted} of {state.drafted} drafted tokens, in calls that are not timed"
    if share is None:
        note = "no value: nothing was drafted"
    percent = None if share is None else 100 * share
    figures = {"draft_acceptance": summarise_single(percent, "%", note)}
    if (made := compute_tokens_per_step(state, places)) is not None:
        figures["tokens_per_step"] = summarise_single(made, "tokens", "")
    return figures


def describe_acceptance(state: CellState) -> str:
    """Describe the accepted share as `42 % accepted`; empty where nothing was drafted so far."""
    share = compute_acceptance(state)
    return "" if share is None else f"{format_share(share)} accepted"


def describe_equality(state: CellState) -> str:
    """Describe the check against plain greedy decoding; empty before it was made."""
    checked = state.speculation
    if checked is None:
        return ""
    if checked.differs_at is None:
        return f"{format_count(checked.compared, 'token')} as in plain greedy decoding"
    margin = "" if checked.margin is None else f", where {checked.margin:.2g} in logits decides"
    return f"not as plain greedy decoding from token {checked.differs_at + 1} on{margin}"
