"""Every place that shows a search names what was searched, and the largest that ran."""

from __future__ import annotations

import pytest

from support import fit_session
from txtop.forecast.edge import choose_next_probe
from txtop.plan.plan import Largest
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.results import build_results
from txtop.ui.models.session_outcome import build_session_outcome, compute_final_figures


def search(largest: Largest) -> SessionState:
    """Return a session in which 40 sequences of 128 tokens fit, and 2 of 992."""
    search = fit_session.build_search(largest)
    state, story = fit_session.begin(search)
    while (probe := choose_next_probe(state, search)) is not None:
        tokens = probe.cell.batch_size * probe.cell.sequence_length
        peak = 900 + tokens // 8
        for event in fit_session.run_probe(story, probe.cell, peak if peak <= 1540 else None):
            fold(state, event)
    return state


@pytest.mark.parametrize(
    ("largest", "word", "name", "label"),
    [
        ("batch-size", "largest batch that ran", "batch 40", "b40"),
        ("both", "largest batch that ran", "batch 40", "b40 · 128 tokens"),
    ],
)
def test_the_outcome_of_a_search_is_the_largest_that_ran(
    largest: Largest, word: str, name: str, label: str
) -> None:
    state, cache = search(largest), FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    view = build_results(state, cache, ("over",))
    assert view is not None and (view.word, view.name) == (word, name)
    ran = sum(own.status == "ok" for own in state.cells.values())
    assert view.counts == f"{ran} of {len(state.cells)} probes ran"
    outcome = build_session_outcome(state, cache)
    assert outcome.name == name
    assert outcome.value.split()[0] == next(c.rate for c in outcome.cells if c.name == label)
