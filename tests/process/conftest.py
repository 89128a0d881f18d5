"""The environment of a screen in a terminal: folders of its own, UTF-8 and colours."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    monkeypatch.chdir(tmp_path)
    return {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TXTOP_SESSION_DIR": str(tmp_path / "sessions"),
        "LANG": "C.UTF-8",
        "LC_ALL": None,
        "NO_COLOR": None,
        "SSH_CONNECTION": None,
    }
