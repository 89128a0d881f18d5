"""Exceptions of the libraries, classified."""

from __future__ import annotations

import builtins
import resource
import tomllib
from typing import Any

import pytest

from support.paths import SUPPORT
from txtop.errors import TxtopError
from txtop.worker import failures

ERRORS = tomllib.loads((SUPPORT / "error_texts.toml").read_text("utf-8"))["error"]
OF_A_CELL, OF_THE_MODEL = "smaller batch", "smaller model"


def build_error(name: str, text: str) -> BaseException:
    """An error of that type; torch's own types are told by their names alone."""
    kind: Any = getattr(builtins, name, None) or type(name, (RuntimeError,), {})
    error = kind(text) if text else kind()
    assert isinstance(error, BaseException)
    return error


@pytest.mark.fault(22)
@pytest.mark.parametrize("row", ERRORS, ids=lambda row: f"{row['type']} {row['text'][:40]!r}")
def test_failures_are_told_apart(row: dict[str, Any]) -> None:
    failure = failures.classify(
        build_error(row["type"], row["text"]), "decode", row.get("device", "cpu")
    )
    status = "busy" if failure.busy else failure.status
    assert (status, failure.sticky) == (row["status"], row.get("sticky", False))
    assert failure.wanted_bytes == row.get("wanted_bytes")
    assert failure.reason.endswith(f"on the {row.get('where')}") == (status == "oom")
    assert failure.reason and row.get("hint", failure.hint) in failure.hint
    assert "\n" not in failure.reason and "\x1b" not in failure.reason


@pytest.mark.parametrize(
    ("phase", "hint"),
    [
        ("weights", OF_THE_MODEL),
        ("convert", OF_THE_MODEL),
        ("to_device", OF_THE_MODEL),
        ("first_forward", OF_THE_MODEL),
        ("compile", OF_A_CELL),
        ("prefill", OF_A_CELL),
        ("decode", OF_A_CELL),
    ],
)
def test_the_hint_of_an_oom_is_on_what_fills_the_memory(phase: str, hint: str) -> None:
    assert hint in failures.classify(MemoryError(), phase).hint


@pytest.mark.parametrize(
    ("limited", "free_bytes", "text", "status"),
    [
        (True, 1 << 30, "could not create a primitive", "oom"),
        (False, 1, "could not create a primitive", "oom"),
        (True, 1 << 30, "could not execute a primitive", "oom"),
        (False, 1 << 30, "could not create a primitive", "failed"),
        (True, 1, "could not create a primitive descriptor for a matmul primitive", "failed"),
    ],
)
def test_a_primitive_of_onednn_is_out_of_memory_where_memory_is_short(
    limited: bool, free_bytes: int, text: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_limit(kind: int) -> tuple[int, int]:
        own = 400 << 20 if limited and kind == resource.RLIMIT_DATA else resource.RLIM_INFINITY
        return own, resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", get_limit)
    monkeypatch.setattr(failures.free_memory, "read_free_bytes", lambda: free_bytes)
    assert failures.classify(RuntimeError(text)).status == status


def test_an_error_of_txtop_keeps_its_hint() -> None:
    failure = failures.classify(TxtopError("why", "next step"))
    assert failure == failures.Failure("failed", "why", "next step", None, sticky=False)


def test_a_library_that_lacks_another_is_named_with_it() -> None:
    outer = ModuleNotFoundError("Could not import module 'GPT2LMHeadModel'. Are its requirements")
    outer.__cause__ = ModuleNotFoundError("No module named 'absent_here.part'")
    reason = "ModuleNotFoundError: No module named 'absent_here.part'"
    assert failures.classify(outer).reason == reason


@pytest.mark.parametrize(
    ("module", "package", "hint"),
    [
        ("absent_here.part", "absent_here", "pip install absent_here"),
        ("cv2", "cv2", "pip install opencv-python"),
    ],
)
def test_a_package_that_is_not_installed_has_its_command(
    module: str, package: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "find_spec", lambda _package: None)
    outer = ModuleNotFoundError("Could not import module 'GPT2LMHeadModel'. Are its requirements")
    outer.__cause__ = ModuleNotFoundError(f"No module named {module!r}", name=module)
    failure = failures.classify(outer)
    assert failure.reason == f"it needs the Python package {package}, which is not installed"
    assert failure.hint == hint


def test_a_part_that_an_installed_package_lacks_is_not_to_be_installed() -> None:
    error = ModuleNotFoundError("No module named 'json.parts'", name="json.parts")
    assert failures.classify(error).reason == "ModuleNotFoundError: No module named 'json.parts'"
