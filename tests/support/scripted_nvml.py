"""NVIDIA's library, built from nvml/fake_nvml.c, so that all of txtop's own code is the real one.

The directives of a scenario are in that file.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "nvml" / "fake_nvml.c"
NAME = "libnvidia-ml.so.1"
ONE_GPU = "gpu GPU-1111 Fake H100"


def build(folder: Path) -> Path:
    """Compile the library into `folder`; skips the test if there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the scripted NVML with")
    library = folder / NAME
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    return library


class Scenario:
    """The answers of the library, for a process started with `environment` or for this one."""

    def __init__(self, library: Path, folder: Path) -> None:
        # A copy is a library of its own to the loader, so that its counts start at zero.
        self.library = Path(shutil.copy(library, folder))
        self._file = folder / "scenario"
        self.write(ONE_GPU)

    def write(self, *lines: str) -> None:
        """Replace the scenario at once; the library reads it again at every call."""
        new = self._file.with_suffix(".new")
        new.write_bytes("\n".join(lines).encode(errors="surrogateescape") + b"\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.library.parent), "FAKE_NVML_SCENARIO": str(self._file)}

    def load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make `pynvml` use the library in this process, without the handles it has kept."""
        import pynvml

        monkeypatch.setenv("FAKE_NVML_SCENARIO", str(self._file))
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(self.library)))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def calls(self, function: str) -> int:
        """Return how often this process has called `function`, under the library's name for it."""
        count: int = ctypes.CDLL(str(self.library)).fake_nvml_calls(function.encode())
        return count


def without_a_library(folder: Path) -> dict[str, str]:
    """Return an environment in which the loader finds no NVML, on a machine with a GPU too."""
    (folder / NAME).write_bytes(b"")
    return {"LD_LIBRARY_PATH": os.fspath(folder)}
