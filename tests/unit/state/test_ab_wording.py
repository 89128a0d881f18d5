"""The verdict of an A/B in words: the screen and the report say the same."""

from __future__ import annotations

import json

import pytest

from support.ab_sessions import script
from txtop.analysis.metrics import FinalMetrics
from txtop.export.html.headline import build_headline
from txtop.export.html.playback import build_playback
from txtop.state.ab_wording import word_verdict
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.ui.models.ab_comparison import build_ab_comparison


def ended(ratio: float, *, late_output: bool = False) -> SessionState:
    made = script()
    made.weights = "pretrained"
    if not late_output:
        made.fidelity(kld=1.0)
    made.begin().blocks(14, ratio, 0.004)
    if late_output:
        made.fidelity(kld=1.0)
    return fold_all(made.end())


@pytest.mark.parametrize(
    ("ratio", "winner", "claims", "role"),
    [
        (1.47, "B", ("B is faster",), "text"),
        (0.5, "A", ("A is faster",), "accent-a"),
        (1.001, "", ("B is as fast as A within 2 %", "same within ±2 %"), "text"),
    ],
)
def test_screen_and_report_have_one_source_of_words(
    ratio: float, winner: str, claims: tuple[str, ...], role: str
) -> None:
    state = ended(ratio)
    ab_test = state.ab_test
    assert ab_test is not None
    wording = word_verdict(ab_test, "B", ab_test.look("B"), ab_test.verdict("B"))
    assert (wording.winner, wording.claims) == (winner, claims)
    view, headline = build_ab_comparison(state, ab_test, "B"), build_headline(state, ab_test, "B")
    assert (view.word, view.value, view.role) == (claims[-1], wording.ratio, role)
    assert headline.sentence.rstrip(",") == claims[0]
    assert view.interval.startswith(wording.interval)
    assert headline.facts[0].startswith(wording.interval)


@pytest.mark.parametrize("late", [False, True])
def test_the_player_shows_the_cost_once_it_was_known(late: bool) -> None:
    recording = json.loads(build_playback(ended(1.47, late_output=late), FinalMetrics()))
    (comparison,) = recording["ab"]
    decided = [
        look["words"] for look in comparison["looks"] if "faster" in look["words"]["sentence"]
    ]
    assert decided and {"BROKEN" in wording["remark"] for wording in decided} == {not late}
    assert "BROKEN" in comparison["final"]["remark"]
