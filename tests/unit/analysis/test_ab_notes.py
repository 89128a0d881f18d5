"""The notes beside the verdict of an A/B."""

from __future__ import annotations

import msgspec
import pytest

from support.ab_sessions import Script, script
from txtop.analysis.ab_notes import build_comparison_notes
from txtop.state.fold import fold_all


@pytest.mark.parametrize(
    ("starts", "why"),
    [(1, "requests are long"), (8, "a start has 30 s, not enough for ten whole blocks")],
)
def test_a_block_that_is_a_pair_has_its_cause(starts: int, why: str) -> None:
    plan = msgspec.structs.replace(script(starts=starts).plan, budget_s=240.0)
    story = Script(plan).begin()
    story.block((30.0, 40.0), paired=True)
    state = fold_all(story.made)
    assert state.ab_test is not None
    notes = build_comparison_notes(state, state.ab_test, state.ab_test.arms[1].id)
    assert f"{why}, so a block is a pair; the interval assumes normal noise" in notes
