"""A race says that it confirms from its last round on, while the workers of that still load."""

from __future__ import annotations

from support import race_session
from txtop.export.text.tuning import describe_course
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.ui.models.race import build_race


def test_a_round_that_never_runs_is_not_announced() -> None:
    story = list(race_session.Race().events())
    first = next(
        n for n, e in enumerate(story) if isinstance(e, events.RaceBlock) and e.stage == "confirm"
    )
    last = max(n for n, e in enumerate(story[:first]) if isinstance(e, events.RaceBlock))
    state = fold_all(story[:last])
    stages = []
    for event in story[last : first + 1]:
        assert state.race is not None
        view = build_race(state, {})
        assert view is not None
        stages.append(view.stage)
        assert describe_course(state.race).startswith(f"{view.stage}, ")
        fold(state, event)
    number = state.race.race.round if state.race is not None else 0
    assert stages[0] == f"round {number}" and stages[-1] == "confirming"
    view = build_race(state, {})
    assert view is not None and view.stage == "confirming, block 1"
