"""The compiler that `torch.compile` needs on this machine: Triton on a GPU, C++ on a CPU."""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path


def explain_missing_compiler(device_kind: str) -> tuple[str, str] | None:
    """Return what a device lacks to compile for it, and the step to take; None if nothing.

    Triton compiles a C file for each kernel, against the header of Python.
    """
    if device_kind == "cpu":
        if find_cpp_compiler() is None:
            return "no C++ compiler", "install g++ or set CXX"
        return None
    if device_kind != "cuda":
        return None
    if find_spec("triton") is None:
        return "no triton", "pip install triton"
    named = os.environ.get("CC")
    if not any(map(shutil.which, [named] if named else ["gcc", "clang"])):
        return "triton needs a C compiler", "install gcc or set CC"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "triton needs Python.h", "the headers of this Python: python3-dev, python3-devel"
    return None


def find_cpp_compiler() -> str | None:
    """Return the C++ compiler that Inductor takes on a CPU."""
    return next(filter(shutil.which, [os.environ.get("CXX", ""), "g++", "clang++"]), None)
