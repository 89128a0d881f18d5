"""The rows of fault_rows.toml that have a test, by the markers of the tests."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.paths import TESTS


def rows() -> dict[int, str]:
    """Return every row's title by its number."""
    return {int(number): title for number, title in _table()["rows"].items()}


def built() -> set[int]:
    """Return the rows that must have a test today."""
    return set(_table()["built"])


def tested(folder: Path = TESTS) -> dict[int, list[str]]:
    """Return the files whose tests carry a row's marker, `@pytest.mark.fault(row, ...)`, by row."""
    files_of_row: dict[int, list[str]] = {}
    for file in sorted(folder.rglob("test_*.py")):
        text = file.read_text()
        for number in sorted(set(_markers(ast.parse(text))) if "mark.fault" in text else ()):
            files_of_row.setdefault(number, []).append(file.relative_to(folder).as_posix())
    return files_of_row


def _markers(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="fault", value=ast.Attribute(attr="mark"))):
                yield from (ast.literal_eval(argument) for argument in node.args)


def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("fault_rows.toml").read_text())
