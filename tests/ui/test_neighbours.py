"""The check of the neighbours stands in the panel of the cell at work until the first cell."""

from __future__ import annotations

import msgspec
import pytest

from support import streams
from support.screen_text import lines
from txtop.protocol import events
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.hero import render_hero

PLACES = ("cpu:0", "cpu:1")
S = 1000 * streams.MS


def check(*steps: tuple[int, int, int], more: tuple[events.AnyEvent, ...] = ()) -> View:
    """Return the screen after steps of (seconds, done, rounds)."""
    plan = msgspec.structs.replace(streams.plan(), places=PLACES)
    header, segment, *_ = streams.stream(plan)
    told = [
        events.IsolationProgress(
            t_ns=header.t_ns + at_s * S, places=PLACES, done=done, rounds=rounds
        )
        for at_s, done, rounds in steps
    ]
    return build_view(fold_all([header, segment, *told, *more]))


@pytest.mark.parametrize("size", [(80, 9), (68, 15)])
def test_it_says_what_it_does_how_far_it_is_and_for_how_long(size: tuple[int, int]) -> None:
    area = Area(*size, Glyphs(), size[1] > 12)
    drawn = [
        " ".join(" ".join(lines(render_hero(check(*steps).hero, area))).replace("│", "").split())
        for steps in (
            [(0, 0, 0)],
            [(0, 0, 0), (20, 0, 4)],
            [(0, 0, 0), (20, 0, 4), (25, 1, 4)],
        )
    ]
    for text in drawn:
        assert "check of neighbours" in text and "alone, then in all of them at once" in text
        assert "n skips it" in text and "tok/s" not in text and "ITL" not in text
    assert "loading in 2 places" in drawn[0] and "a load, then up to a minute" in drawn[0]
    assert "round 1 of 4" in drawn[1]
    assert "round 2 of 4" in drawn[2] and "about 15 s left" in drawn[2]


def test_it_makes_room_for_the_first_cell_and_for_the_end() -> None:
    outcome = events.Isolation(t_ns=0, place="cpu:0", rounds=0, margin=0.02, failed="skipped")
    ended = streams.stream()[-1]
    for more in (outcome, ended):
        view = check((0, 0, 0), more=(more,))
        assert "neighbours" not in view.hero.title
