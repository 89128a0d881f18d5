"""Every screen at three sizes in a dark and a light theme, as it was when somebody last looked at
it. `pytest --snapshot-update` takes the pictures anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from drawn import drawn, plain
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation
from syrupy.types import (
    PropertyFilter,
    PropertyMatcher,
    SerializableData,
    SerializedData,
    SnapshotIndex,
)

from txtop import resources
from txtop.session.play import Player
from txtop.ui.app import Options, TxtopApp
from txtop.ui.shows import Recording, Show, Start

SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("txtop-dark", "txtop-light")


class Frozen(Recording):
    """A recording that stands still."""

    def open(self) -> Player:
        player = super().open()
        player.playing = False
        return player


def recording(name: str, at: str) -> Callable[[], Show]:
    path = resources.directory("sessions") / f"{name}.jsonl"
    return lambda: Frozen(path, Start(at=at))


@dataclass(frozen=True)
class Scene:
    """What is opened, what is typed then, and a word that shows that it has come."""

    opens: Callable[[], Show]
    seen: str
    keys: tuple[str, ...] = ()


SCENES = {
    "replay": Scene(recording("gpt2-precisions", "bf16"), "gpt2"),
    "machine": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("4",)),
    "log": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("5", "slash", *"bf16")),
    "cells": Scene(recording("gpt2-precisions", "0:50"), "gpt2", ("1", "o", "o", "down")),
}


class Drawn(SingleFileSnapshotExtension):
    """One file a picture, in plain text."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return str(index)

    def serialize(
        self,
        data: SerializableData,
        *,
        exclude: PropertyFilter | None = None,
        include: PropertyFilter | None = None,
        matcher: PropertyMatcher | None = None,
    ) -> SerializedData:
        return str(data)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "TXTOP_SESSION_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize("name", SCENES)
async def test_a_screen_is_as_it_was_looked_at(name: str, snapshot: SnapshotAssertion) -> None:
    scene = SCENES[name]
    show = scene.opens()
    app = TxtopApp(show, Options(fps=20))
    async with app.run_test(size=SIZES[0]) as pilot:
        for _ in range(250):
            await pilot.pause(0.02)
            if scene.seen in "\n".join(plain(app)):
                break
        await pilot.press(*scene.keys)
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            for theme in THEMES:
                app.theme = theme
                await pilot.pause(0.15)
                picture = drawn(app)
                named = f"{name}-{width}x{height}-{theme}"
                assert picture == snapshot(name=named, extension_class=Drawn), named
    show.close()
