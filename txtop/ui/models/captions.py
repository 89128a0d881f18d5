"""The captions of a guided replay: a sentence on what is to be seen now, by the state alone.

Apart from the screens so that a table of scenes holds them, and each fits a row of 80 columns.
"""

from __future__ import annotations

from txtop.state.ab import ABTest
from txtop.state.session import SessionState

COMPARING = "First the outputs are compared: what does the faster arm cost in quality?"
LOADING = "Each arm loads in a process of its own and warms up until its times are flat."
TURNS = "A and B take turns in one block, A B B A: a drift of the machine cancels."
RATIOS = "Each block gives one ratio of their speeds: one interval for all of them."
EARLY = "The interval narrows. Before block {first_look} it decides nothing, so luck cannot."
OPEN = "The interval holds at every look. A verdict needs it clear of the margin."
DECIDED = "Decided after {blocks} blocks, with the cost in quality. Yours: txtop ab MODEL"
UNDECIDED = "No verdict is a result, too. Yours: txtop ab MODEL"


def choose_caption(state: SessionState) -> str:
    """Return the caption of the scene that an A/B is in; empty for any other session."""
    ab_test = state.ab_test
    if ab_test is None:
        return ""
    text = _choose_scene(state, ab_test)
    return text.format(first_look=ab_test.first_look, blocks=ab_test.kept_blocks)


def _choose_scene(state: SessionState, ab_test: ABTest) -> str:
    blocks = ab_test.kept_blocks
    if ab_test.decided and blocks:
        return DECIDED
    if state.ended is not None:
        return UNDECIDED
    if state.comparing is not None:
        return COMPARING
    if any(not cell.samples.role for cell in state.cells.values()):
        return LOADING
    if not blocks:
        return TURNS
    if blocks < ab_test.first_look // 2:
        return RATIOS
    return EARLY if blocks < ab_test.first_look else OPEN
