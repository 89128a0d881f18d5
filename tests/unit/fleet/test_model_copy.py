"""Models are copied to the places that lack them, file by file."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from support.waiting import wait_until
from txtop.errors import UsageError
from txtop.fleet.model_copy import (
    list_lacking,
    list_local_models,
    read_model_files,
    sync_models,
)
from txtop.fleet.places import RemotePlace
from txtop.options.run_options import RunOptions


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a link to its weights, as in the Hub's cache, and a folder."""
    here = tmp_path / "here"
    folder = here / "m o'del"
    (folder / "sub").mkdir(parents=True)
    (here / "blob").write_bytes(b"weights" * 100_000)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").symlink_to(here / "blob")
    (folder / "sub" / "more.txt").write_text("more")
    monkeypatch.chdir(here)
    return folder


def place(folder: Path, label: str) -> RemotePlace:
    (folder / label).mkdir(exist_ok=True)
    return RemotePlace(label, "exec", f"env -C {folder / label}")


def read(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def interrupt_sync(there: RemotePlace, model: Path, is_time: Callable[[], object]) -> None:
    """Copy a model to a place, and be interrupted once it is time."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def interrupt() -> None:
        wait_until(is_time)
        os.kill(os.getpid(), signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, leave)
    interrupting = threading.Thread(target=interrupt)
    try:
        interrupting.start()
        with pytest.raises(SystemExit):
            sync_models([there], [f"./{model.name}"], lambda _line: None)
    finally:
        interrupting.join()
        signal.signal(signal.SIGUSR1, previous)


def test_a_place_gets_what_it_lacks_and_nothing_else(tmp_path: Path, model: Path) -> None:
    a, b = place(tmp_path, "a"), place(tmp_path, "b")
    name = f"./{model.name}"
    lines: list[str] = []
    sync_models([a, b], [name], lines.append)
    assert len(lines) == 2 and "a            lacks 3 files" in lines[0] and "683" in lines[0]
    for label in ("a", "b"):
        there = tmp_path / label / model.name
        assert read(there) == read(model)
        assert sorted(os.listdir(there)) == sorted(os.listdir(model))
        assert os.listdir(there.parent) == [model.name]
    (tmp_path / "b" / model.name / "model.safetensors").write_bytes(b"weightS" * 100_000)
    lines.clear()
    sync_models([a, b], [name], lines.append)
    assert len(lines) == 1 and lines[0].startswith("b ") and "lacks 1 file " in lines[0]
    assert read(tmp_path / "b" / model.name) == read(model)
    files = read_model_files(name)
    assert list_lacking([a, b], files) == {}


def test_places_that_share_a_disk_do_not_get_in_each_others_way(
    tmp_path: Path, model: Path
) -> None:
    places = [place(tmp_path, "shared")._replace(label=label) for label in ("a", "b", "c", "d")]
    sync_models(places, [f"./{model.name}"], lambda _line: None)
    there = tmp_path / "shared" / model.name
    assert read(there) == read(model)
    assert sorted(os.listdir(there)) == sorted(os.listdir(model))


def test_a_signal_ends_a_copy_and_leaves_nothing_of_it(tmp_path: Path, model: Path) -> None:
    there, late = tmp_path / "a" / model.name, tmp_path / "late"
    (tmp_path / "a").mkdir()
    slow = f"""case "$3" in
    *mktemp*) {{ head -c 200000; sleep 20; touch {late}; }} | "$@";;
    *) "$@";;
    esac"""
    slow_place = RemotePlace("a", "exec", shlex.join(["env", "-C", str(tmp_path / "a"), "sh", "-c",
                                                      slow, "--"]))  # fmt: skip

    interrupt_sync(slow_place, model, lambda: list(there.glob(".part.*/model.safetensors")))
    assert not late.exists()
    wait_until(lambda: not os.listdir(there))


def test_a_signal_does_not_wait_for_the_digests_of_a_place(tmp_path: Path, model: Path) -> None:
    begun, late = tmp_path / "begun", tmp_path / "late"
    slow = f"touch {begun}; sleep 20; touch {late}"
    interrupt_sync(
        RemotePlace("a", "exec", shlex.join(["sh", "-c", slow, "--"])), model, begun.exists
    )
    assert not late.exists()


def test_a_single_file_is_copied_beside_what_is_there(tmp_path: Path, model: Path) -> None:
    (model.parent / "small.gguf").write_bytes(b"GGUF")
    sync_models([place(tmp_path, "a")], ["./small.gguf"], lambda _line: None)
    assert read(tmp_path / "a") == {"small.gguf": b"GGUF"}


def test_a_place_that_takes_nothing_is_named(tmp_path: Path, model: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / model.name).write_text("a file where the folder should be")
    with pytest.raises(UsageError, match=r"a: .*File exists"):
        sync_models([place(tmp_path, "a")], [f"./{model.name}"], lambda _line: None)
    with pytest.raises(UsageError, match=r"b: exec:sh .* ended with exit code 7"):
        broken = RemotePlace("b", "exec", "sh -c 'exit 7' --")
        sync_models([broken], [f"./{model.name}"], lambda _line: None)
    with pytest.raises(UsageError, match=r"b: exec:sh .*; c: exec:sh .* 7: nothing was started"):
        both = [broken, broken._replace(label="c")]
        sync_models(both, [f"./{model.name}"], lambda _line: None)


def test_models_that_are_paths_are_copied_and_assistants_with_them() -> None:
    options = RunOptions(models=["./m", "gpt2", "./m"], speculative=["none", "assistant=./small"])
    assert list_local_models(options) == ["./m", "./small"]
    with pytest.raises(UsageError, match="no model is a path"):
        list_local_models(RunOptions(models=["gpt2"]))
    with pytest.raises(UsageError, match="~/m means another folder on each machine"):
        list_local_models(RunOptions(models=["./m", "~/m"]))


def test_only_directories_of_this_machine_can_be_copied(model: Path) -> None:
    with pytest.raises(UsageError, match="gpt2 is no model directory here"):
        read_model_files("gpt2")
