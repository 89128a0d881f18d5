"""Every test of the screen has folders of its own; some have a quiet machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pilot import FakeMachine
from txtop.options import feasibility
from txtop.system import gpus, torch_build
from txtop.ui import home_source


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "TXTOP_SESSION_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def bf16_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have units for bf16, on which the preset that is started depends."""
    monkeypatch.setattr(feasibility, "find_fast_precision", lambda _device: "bf16")


@pytest.fixture(autouse=True)
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no GPU, on which the values that the matrix builder offers depend."""
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    monkeypatch.setattr(gpus, "PROC", tmp_path / "proc")
    monkeypatch.setattr(gpus, "DEV", tmp_path / "dev")


@pytest.fixture(autouse=True)
def ended_frames() -> Iterator[None]:
    """See that no screen of a test goes on to build frames beside the later ones."""
    yield
    for thread in threading.enumerate():
        if thread.name == "frames":
            thread.join(10.0)
            assert not thread.is_alive(), "close the frames of the application"


@pytest.fixture
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_source, "HomeSource", FakeMachine)
