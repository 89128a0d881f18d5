"""The first picture is Textual's own first one, in text and colours."""

from __future__ import annotations

from collections.abc import Iterator

import pyte
import pytest

from support import screen_text
from support.pilot import opened
from txtop.ui.drawing.glyphs import GlyphMode, set_glyphs
from txtop.ui.frame_loop import FrameLoop
from txtop.ui.models.layout import arrange_home, is_boxed
from txtop.ui.modes import HomeMode
from txtop.ui.screens.first_picture import build_first_picture

SIZES = [(80, 24), (120, 40), (200, 60), (50, 12), (99, 33), (121, 16), (60, 15), (9, 4)]


@pytest.fixture(autouse=True)
def glyphs_stay() -> Iterator[None]:
    yield
    set_glyphs("braille")


def draw(picture: str, size: tuple[int, int]) -> list[list[tuple[object, ...]]]:
    """Return what a terminal shows: a character, its colours and its weight for each cell."""
    screen = pyte.Screen(*size)
    pyte.Stream(screen).feed(picture)
    columns, rows = size
    cells = [[screen.buffer[y][x] for x in range(columns)] for y in range(rows)]
    # The colour of a space is that of nothing.
    return [[(c.data, c.fg if c.data != " " else "", c.bg, c.bold) for c in row] for row in cells]


@pytest.mark.parametrize("size", SIZES)
async def test_textual_draws_the_same_at_the_same_places(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameLoop, "start", lambda _self: None)
    async with opened(HomeMode(), size) as (app, pilot):
        await pilot.pause(0.05)
        theme, strips = app.theme, screen_text.strips(app)
    lines = [
        "".join(s.style.render(s.text) if s.style else s.text for s in strip) for strip in strips
    ]
    picture = build_first_picture(*size, theme, "TRUECOLOR")
    ours = draw(picture, size)
    assert ours == draw("\r\n".join(lines), size)
    grounds = {cell[2] for row in ours for cell in row}
    assert len(grounds) == (2 if is_boxed(*size) else 1)


@pytest.mark.parametrize("mode", ["braille", "ascii"])
def test_without_colours_there_are_no_codes_of_colours(mode: GlyphMode) -> None:
    set_glyphs(mode)
    picture = build_first_picture(80, 24, "mono", "TRUECOLOR")
    assert "\x1b[38;" not in picture and "\x1b[48;" not in picture and "\x1b[1m" in picture
    assert picture.isascii() == (mode == "ascii")


def test_the_parts_fill_the_screen_and_none_covers_another() -> None:
    for width in range(1, 220):
        for height in range(6, 70):
            places = arrange_home(width, height).places
            beside = places.pop("start", None)
            if beside is not None:
                left = places["sessions"]
                assert beside[1::2] == left[1::2] and beside.x == left.width
                places["sessions"] = left._replace(width=left.width + beside.width)
            top = 0
            for place in places.values():
                assert (place.x, place.y, place.width) == (0, top, width)
                top += place.height
            assert top == height, (width, height)
