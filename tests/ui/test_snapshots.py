"""Every screen at three sizes in a dark and a light theme, as it was when somebody last looked at
it. `pytest --snapshot-update` takes the pictures anew."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.types import (
    PropertyFilter,
    PropertyMatcher,
    SerializableData,
    SerializedData,
)
from textual.pilot import Pilot
from textual.strip import Strip

from support.pilot import opened
from support.scenes import SCENES, freeze
from support.screen_text import drawn, plain, strips
from txtop.ui.app import TxtopApp

SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("txtop-dark", "txtop-light")
STILL = 3
FPS = 50


class Drawn(SingleFileSnapshotExtension):
    """One file a picture, in plain text."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"

    def serialize(
        self,
        data: SerializableData,
        *,
        exclude: PropertyFilter | None = None,
        include: PropertyFilter | None = None,
        matcher: PropertyMatcher | None = None,
    ) -> SerializedData:
        return str(data)


def check(pilot: Pilot[Path | None]) -> TxtopApp:
    app = pilot.app
    assert isinstance(app, TxtopApp) and app.error is None, str(app.error)
    return app


async def come(pilot: Pilot[Path | None], word: str) -> None:
    for _ in range(1500):
        await pilot.pause(0.02)
        if word in "\n".join(plain(check(pilot))):
            return
    app = check(pilot)
    frames = vars(app.frames) if app.frames is not None else None
    at = f"settling {app.settling}, screen {app.has_screen}, frames {frames}"
    raise AssertionError(f"{word!r} never came: {at}\n" + "\n".join(plain(app)))


async def draw_next(pilot: Pilot[Path | None]) -> None:
    """Ask for a frame of what there is now. The one before has been built, and is drawn."""
    asked = threading.Event()
    frames = check(pilot).frames
    assert frames is not None
    frames.ask(lambda _source: asked.set())
    while not asked.is_set():
        await pilot.pause(0.005)
        check(pilot)
    await pilot.pause(0.01)


async def still(pilot: Pilot[Path | None]) -> str:
    """The picture, once frames no longer change it: final figures come a cell a frame."""
    before: list[Strip] = []
    same = 0
    for _ in range(1500):
        await draw_next(pilot)
        app = check(pilot)
        now, frames = strips(app), app.frames
        before, same = now, same + 1 if now == before and frames and not frames.late else 0
        if same == STILL:
            return drawn(app)
    raise AssertionError("never still")


@pytest.mark.parametrize("name", SCENES)
async def test_screen(
    name: str, snapshot: SnapshotAssertion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(monkeypatch)
    scene = SCENES[name]
    async with opened(scene.opens(tmp_path), SIZES[0], FPS) as (app, pilot):
        await come(pilot, scene.seen)
        await pilot.press(*scene.keys)
        await come(pilot, scene.after)
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            for theme in THEMES:
                app.theme = theme
                named = f"{width}x{height}-{theme}"
                assert await still(pilot) == snapshot(name=named, extension_class=Drawn), named
