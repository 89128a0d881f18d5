"""Reading what torch was built for from its files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from txtop.system import torch_build

CPU = "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    torch_build.read_build.cache_clear()
    yield
    torch_build.read_build.cache_clear()


@pytest.mark.parametrize(
    ("text", "has_cuda", "has_xpu"),
    [
        (CPU, False, True),
        (CPU + "xpu: Optional[str] = None\n", False, False),
        (CPU + "xpu: Optional[str] = '20250301'\n", False, True),
        (CPU.replace("cuda: Optional[str] = None", "cuda: Optional[str] = '13.0'"), True, True),
        (CPU.replace("hip: Optional[str] = None", "hip: Optional[str] = '7.1.25424'"), True, True),
        ("__version__ = '2.1.0'\ncuda = None\n", False, True),
        ("a file of another form", True, True),
        (None, True, True),
    ],
)
def test_what_torch_was_built_without_is_known(
    text: str | None,
    has_cuda: bool,
    has_xpu: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / "__init__.py").touch()
    if text is not None:
        (folder / "version.py").write_text(text)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert torch_build.has_cuda() is has_cuda
    assert torch_build.has_xpu() is has_xpu
