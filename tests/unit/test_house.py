"""The rules of the house: names, docstrings and imports that a newcomer can rely on."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from support.paths import ROOT
from support.source_trees import Source, parse_sources

PACKAGE = ROOT / "txtop"
TESTS = ROOT / "tests"
MOST_LINES = 500
NOUN_CLAUSES = ("What", "Whether", "How", "Of", "Which")
REFUSED_LOCALS = frozenset({"found", "said", "shown", "each", "known", "words"})
# Documents go by a path with an ending; these were cited by a bare name.
BARE_DOCUMENT = re.compile(r"\b(ARCHITECTURE|DESIGN|FAULTS|GPU\.md|LOOK|METHOD|PEERS|SCREENS)\b")
DOCUMENT = re.compile(r"[\w./-]+\.md\b")
MOST_AT_THE_TOP = 8
MOST_IN_UI = 15


def sources() -> tuple[Source, ...]:
    return parse_sources(PACKAGE)


def package_and_tests() -> Iterator[Source]:
    yield from sources()
    yield from parse_sources(TESTS)


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def cycles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected groups of more than one module (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in imports[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            groups.append(sorted(group))

    for module in sorted(imports):
        if module not in index:
            visit(module)
    return [group for group in groups if len(group) > 1]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("txtop", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert cycles(imports) == []


def test_no_class_name_is_defined_twice() -> None:
    places = defaultdict(list)
    for path, _, nodes in sources():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(place(path, node.lineno))
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


def docstrings() -> Iterator[tuple[str, str]]:
    for path, _, nodes in package_and_tests():
        for node in nodes:
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield place(path, getattr(node, "lineno", 1)), text


def test_no_docstring_begins_with_a_noun_clause() -> None:
    wrong = [f"{at} {text[:50]}" for at, text in docstrings() if text.split()[0] in NOUN_CLAUSES]
    assert wrong == []


def test_every_document_that_is_cited_is_in_the_repository() -> None:
    """A citation is a path from the root, or a file of docs/."""
    missing = []
    for path, text, _ in sources():
        for number, line in enumerate(text.splitlines(), start=1):
            cited = DOCUMENT.findall(line)
            missing += [
                f"{place(path, number)} {name}"
                for name in cited
                if not any((folder / name).is_file() for folder in (ROOT, ROOT / "docs"))
            ]
            missing += [f"{place(path, number)} {name}" for name in BARE_DOCUMENT.findall(line)]
    assert missing == []


def test_locals_are_named_for_their_content() -> None:
    """Check all but the fields of classes, whose names are read beside that of their owner."""
    refused = []
    for path, _, nodes in package_and_tests():
        classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        fields = {
            id(statement.target)
            for node in classes
            for statement in node.body
            if isinstance(statement, ast.AnnAssign)
        }
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = "" if id(node) in fields else node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            else:
                continue
            if name in REFUSED_LOCALS:
                refused.append(f"{place(path, node.lineno)} {name}")
    assert refused == []


def test_no_module_is_over_500_lines() -> None:
    long = {place(path, 1): text.count("\n") for path, text, _ in sources()}
    assert {at: lines for at, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("folder", "most"), [(PACKAGE, MOST_AT_THE_TOP), (PACKAGE / "ui", MOST_IN_UI)]
)
def test_a_folder_is_read_at_a_glance(folder: Path, most: int) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= most, modules
