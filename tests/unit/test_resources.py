"""The bundled data is found in a checkout and in an installed wheel, and the archives carry it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import txtop
from support.paths import ROOT
from txtop import resources


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a source archive, and a wheel from its content."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _shipped(kind: str) -> set[str]:
    files = (path for path in (ROOT / kind).rglob("*") if path.is_file())
    return {f"{kind}/{path.relative_to(ROOT / kind).as_posix()}" for path in files}


def test_a_checkout_finds_its_own_folders() -> None:
    assert resources.find_directory("themes") == ROOT / "themes"
    assert resources.find_directory("sessions") == ROOT / "sessions"


def test_the_wheel_carries_the_data_and_finds_it_once_installed(
    archives: Path, tmp_path: Path
) -> None:
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    data = _shipped("themes") | _shipped("sessions")
    assert {name for name in names if name.startswith("txtop/data/")} == {
        f"txtop/data/{name}" for name in data
    }
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "txtop").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    assert {Path(name).suffix for name in sources} >= {".py", ".tcss", ".css", ".jinja"}
    assert f"txtop-{txtop.__version__}.dist-info/licenses/LICENSE" in names
    for kind in ("themes", "sessions"):
        package = tmp_path / "txtop"
        assert resources.find_directory(kind, package) == package / "data" / kind


def test_the_source_archive_carries_everything_that_builds_and_tests(archives: Path) -> None:
    (sdist,) = archives.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _shipped("themes") | _shipped("sessions") <= names
    assert {"pyproject.toml", "constraints.txt", "Makefile", "README.md", "LICENSE"} <= names
    assert "tests/unit/test_resources.py" in names
    assert not any(".venv" in name or "__pycache__" in name for name in names)


def test_data_inside_the_package_goes_first(tmp_path: Path) -> None:
    package = tmp_path / "txtop"
    assert resources.find_directory("themes", package) == tmp_path / "themes"
    (package / "data" / "themes").mkdir(parents=True)
    assert resources.find_directory("themes", package) == package / "data" / "themes"
