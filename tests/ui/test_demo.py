"""The guided demo: where it begins, what its captions say, and where they stand."""

from __future__ import annotations

import pytest

from support.pilot import opened, text, until
from support.tiling import tiled
from txtop.session.catalog import find_demo
from txtop.session.player import Player
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.launch import DEMO_SPEED
from txtop.ui.models import captions, layout
from txtop.ui.models.view import Playback
from txtop.ui.modes import ReplayMode, ReplayStart
from txtop.ui.panels.transport import render_transport

SCENES = [value for name, value in vars(captions).items() if name.isupper()]


@pytest.fixture(scope="module")
def demo() -> Player:
    return Player(find_demo())


def test_every_scene_of_the_recording_has_its_caption_in_its_order(demo: Player) -> None:
    seen = []
    for position_ns in range(0, demo.duration_ns, 200_000_000):
        demo.seek(position_ns)
        seen.append(captions.choose_caption(demo.state))
    demo.seek(demo.duration_ns)
    seen.append(captions.choose_caption(demo.state))
    scenes = [caption for i, caption in enumerate(seen) if caption != seen[i - 1]]
    formatted = [scene.format(first_look=10, blocks=10) for scene in SCENES]
    assert scenes == [
        captions.LOADING,  # before the comparison has begun
        captions.COMPARING,
        captions.LOADING,
        captions.TURNS,
        captions.RATIOS,
        formatted[SCENES.index(captions.EARLY)],
        formatted[SCENES.index(captions.DECIDED)],
    ]
    assert all(len(caption) <= 77 for caption in formatted)
    assert captions.choose_caption(fold_all([])) == ""


class Halted(ReplayMode):
    """A replay that stays where it begins: a busy machine may miss a picture that passes."""

    def open(self) -> Player:
        player = super().open()
        player.playing = False
        return player


async def test_the_demo_begins_at_the_first_block_of_the_ab_at_four_times_the_speed() -> None:
    show = Halted(find_demo(), ReplayStart(speed=DEMO_SPEED, guided=True))
    async with opened(show, size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: captions.TURNS in text(app) and "4x" in text(app))
        assert show.player is not None
        assert show.player.position_ns >= show.player.first_measured_ns
        assert app.frames is not None
        app.frames.ask(lambda player: player.seek(player.duration_ns))
        await until(pilot, lambda: "Decided after 10 blocks" in text(app))
        assert "B is faster" in text(app) and "broken" in text(app)


def test_a_replay_that_is_not_guided_has_no_caption(demo: Player) -> None:
    assert Playback.of(demo).caption == ""


def test_the_first_measured_iteration_is_where_the_first_block_begins(demo: Player) -> None:
    demo.seek(demo.first_measured_ns)
    assert not any(cell.samples.kept() for cell in demo.state.cells.values())
    assert all(cell.samples.role for cell in demo.state.cells.values())
    demo.step(1)
    assert sum(len(cell.samples.kept()) for cell in demo.state.cells.values()) == 1


@pytest.mark.parametrize("width", [10, 60, 80, 200])
def test_a_caption_is_the_last_row_and_takes_no_name_away(width: int) -> None:
    at = Playback(1, 2, cells=((0, "gpt2", "ok"),), caption="A caption of some words.")
    g = Glyphs()
    rails = [render_transport(at, Area(width, height, g)) for height in (1, 2, 3)]
    lines = [["".join(part for part, _ in row) for row in rows] for rows in rails]
    assert [len(rows) for rows in lines] == [1, 2, 3]
    for rows in lines[1:]:
        assert rows[-1].startswith(" ▸ A")
    if width >= 60:
        assert "gpt2" in lines[2][1] and lines[2][2].rstrip().endswith("words.")


@pytest.mark.parametrize("size", [(80, 24), (100, 32), (120, 40), (160, 45), (200, 60), (60, 16)])
def test_a_caption_has_a_row_of_its_own(size: tuple[int, int]) -> None:
    for arrange in (layout.arrange_ab, layout.arrange_session):
        for zoom in ("", *layout.ZOOMABLE_PANELS):
            bare = arrange(*size, replay=True, zoom=zoom)
            captioned = arrange(*size, replay=True, captioned=True, zoom=zoom)
            assert tiled(captioned, size)
            bars = [plan.places["transport"].height for plan in (bare, captioned)]
            assert bars[1] == bars[0] + 1
