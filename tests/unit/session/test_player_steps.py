"""Seeking, playing and stepping through a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import streams
from support.streams import MS
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import to_json
from txtop.session.player import SPEEDS, Player
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState


@pytest.fixture
def player(tmp_path: Path) -> Player:
    path = tmp_path / "s.jsonl"
    streams.write(path, streams.stream())
    return Player(path)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.1, 1.1), min_size=1, max_size=8))
def test_seeking_anywhere_is_the_fold_of_what_came_before(
    tmp_path_factory: pytest.TempPathFactory, places: list[float]
) -> None:
    path = tmp_path_factory.mktemp("p") / "s.jsonl"
    made = streams.stream()
    streams.write(path, made)
    player = Player(path)
    for place in places:
        player.seek(round(place * player.duration_ns))
        assert 0 <= player.position_ns <= player.duration_ns
        state, n = SessionState(), 0
        for event in made:
            fold(state, event)
            if state.clock_ns > player.position_ns:
                break
            n += 1
        expected = fold_all(made[:n])
        assert to_json(player.state, FinalMetrics()) == to_json(expected, FinalMetrics())
        assert player.state.clock_ns == expected.clock_ns


def test_playing_takes_its_time_and_its_speed(player: Player) -> None:
    player.update(100 * MS)
    assert player.position_ns == 100 * MS
    for _ in range(3):
        player.faster()
    player.update(100 * MS)
    assert player.speed == 8.0 and player.position_ns == 900 * MS
    player.toggle()
    assert not player.update(10_000 * MS) and player.position_ns == 900 * MS
    player.toggle()
    for _ in range(20):
        player.slower()
    assert player.speed == SPEEDS[0]
    player.seek(player.duration_ns + 1)
    assert player.finished and not player.playing
    player.toggle()
    assert player.position_ns == 0 and player.playing


def test_steps_go_to_iterations_and_cells_both_ways(player: Player) -> None:
    def measured() -> int:
        return sum(len(c.samples) for c in player.state.cells.values())

    for n in range(1, 29):
        player.step(+1)
        assert measured() == n and not player.playing
    for n in range(27, 0, -1):
        player.step(-1)
        assert measured() == n
    player.step_cell(+1)
    assert player.state.current == "c002" and measured() == 14
    player.step_cell(-1)
    assert player.state.current == "c001" and measured() == 0
    assert [(cell, status) for _, cell, status in player.boundaries] == [
        ("c001", "ok"),
        ("c002", "ok"),
    ]


def test_the_end_of_a_replay_is_the_live_export(player: Player) -> None:
    player.seek(player.duration_ns)
    assert to_json(player.state, FinalMetrics()) == to_json(
        fold_all(streams.stream()), FinalMetrics()
    )
