"""From the home screen to an A/B of any model on the disk, with few keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import quantised_models
from support.pilot import home_screen, opened, text, until
from txtop.models.local_models import list_cached_models, list_folder_models
from txtop.ui.models.ab_choices import (
    choose_default_pair,
    list_ab_models,
    list_ab_precisions,
)
from txtop.ui.modes import AppMode, HomeMode, LiveMode
from txtop.ui.screens.ab_dialog import ABDialog, TuneDialog

MOST_KEYS = 6


def cache_model(cache: Path, name: str, *, weights: bool = True) -> None:
    """Put a repository as the Hub's client stores it: links from a snapshot to blobs."""
    snapshot = cache / f"models--{name.replace('/', '--')}" / "snapshots" / "0a1b2c3"
    blobs = snapshot.parents[1] / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "c").write_text('{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}')
    (snapshot / "config.json").symlink_to(blobs / "c")
    if weights:
        (blobs / "w").write_bytes(b"")
    (snapshot / "model.safetensors").symlink_to(blobs / "w")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for i in range(30):
        cache_model(tmp_path, f"org/model-{i:02d}")
    cache_model(tmp_path, "org/half-loaded", weights=False)
    return tmp_path


def test_only_whole_models_of_the_cache_are_offered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list_cached_models() == [f"org/model-{i:02d}" for i in range(30)]
    monkeypatch.setenv("HF_HUB_CACHE", str(cache / "nowhere"))
    assert list_cached_models() == []


def test_models_beside_the_user_are_offered(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("here")
    for name in ("tuned", "half", "notes"):
        (folder / name).mkdir()
    (folder / "tuned" / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "tuned" / "model.safetensors").touch()
    (folder / "half" / "config.json").write_text("{}")
    (folder / "small.gguf").touch()
    (folder / "readme.txt").touch()
    assert list_folder_models(folder) == ["./small.gguf", "./tuned"]
    assert list_folder_models(folder / "readme.txt") == list_folder_models(folder / "no") == []
    monkeypatch.chdir(folder)
    offered = list_ab_models(["gpt2"])
    assert [one.name for one in offered[:4]] == ["gpt2", "small.gguf", "tuned", "model-00"]
    assert offered[2].source == "on the disk"


def test_the_pages_of_models_go_round(cache: Path) -> None:
    for i in range(30, 120):
        cache_model(cache, f"org/model-{i:02d}")
    models = list_ab_models()

    class Sized(ABDialog):
        inner_size = (70, 20)

    pages = set()
    for turns in range(-3, 4):
        dialog = Sized(models)
        for _ in range(abs(turns)):
            dialog._turn_page(1 if turns > 0 else -1)
        pages.update(model.model for model in dialog._page)
    # Three turns, the model and `enter` after `a` are six keys.
    assert len(models) > 120 and len(pages) >= 7 * 18 - 17


def test_models_of_recent_sessions_come_first_unless_they_would_be_downloaded(cache: Path) -> None:
    offered = list_ab_models(["org/gone", "org/model-07", "gpt2"])
    assert [one.model for one in offered[:3]] == ["org/model-07", "gpt2", "org/model-00"]
    assert "org/gone" not in {one.model for one in offered}
    assert {one.source for one in offered} == {"on the disk", "built in, no download"}


def test_a_precision_that_is_not_here_says_why() -> None:
    offered = {one.precision: one.lacking for one in list_ab_precisions("gpt2")}
    assert "Ampere" in offered["tf32"] and not offered["fp32"] and not offered["int8"]
    pair = choose_default_pair(list_ab_precisions("gpt2"))
    assert pair is not None and pair[0] == "fp32" and pair[1] in ("bf16", "int8")


def find_key(screen: str, name: str) -> str:
    """Return the key that stands before a name."""
    line = next(line for line in screen.splitlines() if f"  {name}" in line)
    return line.partition(f"  {name}")[0][-1]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_any_model_on_the_disk_is_six_visible_keys_away(
    cache: Path, quiet_machine: None, size: tuple[int, int]
) -> None:
    started: list[tuple[str, str, str]] = []

    class Noted(HomeMode):
        def start_ab(self, model: str, first: str, second: str) -> LiveMode:
            started.append((model, first, second))
            return LiveMode(path=cache)

    async with opened(Noted(), size) as (app, pilot):
        app.switch_to = lambda mode: None  # type: ignore[method-assign]
        await until(pilot, lambda: home_screen(app).query("#start").first().region.height > 0)
        for model in (f"org/model-{i:02d}" for i in (0, 16, 29)):
            keys = ["a"]
            await pilot.press("a")
            await until(pilot, lambda: isinstance(app.screen, ABDialog))
            while model.partition("/")[2] not in text(app):
                assert "pgdn" in text(app)
                keys.append("pagedown")
                await pilot.press("pagedown")
            keys.append(find_key(text(app), model.partition("/")[2]))
            await pilot.press(keys[-1])
            await until(pilot, lambda: "two precisions" in text(app))
            for precision in ("bf16", "int8:dynamic"):
                keys.append(find_key(text(app), f"{precision} "))
                await pilot.press(keys[-1])
            await until(pilot, lambda: not isinstance(app.screen, ABDialog))
            assert started[-1] == (model, "bf16", "int8:dynamic") and len(keys) <= MOST_KEYS, keys


async def test_enter_takes_the_marked_model_and_the_usual_pair(quiet_machine: None) -> None:
    started: list[tuple[str, str, str]] = []

    class Noted(HomeMode):
        def start_ab(self, model: str, first: str, second: str) -> LiveMode:
            started.append((model, first, second))
            return LiveMode(path=Path("/nowhere"))

    async with opened(Noted()) as (app, pilot):
        app.switch_to = lambda mode: None  # type: ignore[method-assign]
        await until(pilot, lambda: home_screen(app).query("#start").first().region.height > 0)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ABDialog))
        await pilot.press("enter", "escape", "enter", "enter")
        await until(pilot, lambda: bool(started))
    assert started[0][1] == "fp32" and started[0][2] in ("bf16", "fp16", "int8")


async def test_a_race_says_what_it_leaves_out(
    quiet_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = "txtop.options.feasibility.explain_missing_compiler"
    monkeypatch.setattr(lacking, lambda _kind: ("no C++ compiler", "install g++"))
    started: list[AppMode] = []
    async with opened(HomeMode()) as (app, pilot):
        app.switch_to = started.append  # type: ignore[method-assign]
        await until(pilot, lambda: home_screen(app).query("#start").first().region.height > 0)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, TuneDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "no C++ compiler" in str(list(app._notifications)))
    assert isinstance(started[0], LiveMode)


def test_a_stored_checkpoint_has_no_other_precision(tmp_path: Path) -> None:
    stored = quantised_models.write(tmp_path, "torchao:int8")
    offered = list_ab_precisions(str(stored))
    assert all("the files are torchao:int8" in one.lacking for one in offered)
    assert choose_default_pair(offered) is None
