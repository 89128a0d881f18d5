"""The syntax trees of the sources and tests, parsed once for all tests that read them."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A module: where it is, its text, and all nodes of its tree, the module itself first."""

    path: Path
    text: str
    nodes: tuple[ast.AST, ...]


@cache
def parse_sources(folder: Path) -> tuple[Source, ...]:
    """Parse every module of a folder."""
    # Millions of nodes, none of which is garbage.
    gc.disable()
    try:
        texts = [(path, path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
        return tuple(Source(path, text, tuple(ast.walk(ast.parse(text)))) for path, text in texts)
    finally:
        gc.enable()
        gc.freeze()
