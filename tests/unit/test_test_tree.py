"""Tests mirror the sources, and no test module imports another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.paths import ROOT, TESTS


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_module_imports_another() -> None:
    modules = {file.stem for file in TESTS.rglob("test_*.py")}
    importers = {
        file.relative_to(TESTS).as_posix(): sorted(both)
        for file in TESTS.rglob("*.py")
        if (both := {part for name in _imported(file) for part in name.split(".")} & modules)
    }
    assert importers == {}


def test_every_folder_of_unit_tests_is_a_package() -> None:
    folders = {file.parent.relative_to(TESTS / "unit") for file in TESTS.glob("unit/**/test_*.py")}
    assert {f for f in folders if not (ROOT / "txtop" / f / "__init__.py").is_file()} == set()
