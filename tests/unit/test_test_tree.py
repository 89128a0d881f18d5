"""Tests mirror the sources, import none of each other, and assert no absolute time."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from support.paths import ROOT, TESTS
from support.source_trees import parse_sources


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_module_imports_another() -> None:
    modules = {file.stem for file in TESTS.rglob("test_*.py")}
    importers = {
        source.path.relative_to(TESTS).as_posix(): sorted(both)
        for source in parse_sources(TESTS)
        if (
            both := {part for name in _imported(source.nodes) for part in name.split(".")} & modules
        )
    }
    assert importers == {}


def test_every_folder_of_unit_tests_is_a_package() -> None:
    folders = {file.parent.relative_to(TESTS / "unit") for file in TESTS.glob("unit/**/test_*.py")}
    assert {f for f in folders if not (ROOT / "txtop" / f / "__init__.py").is_file()} == set()


CLOCKS = {
    f"{name}{unit}"
    for name in ("monotonic", "perf_counter", "process_time", "thread_time", "time")
    for unit in ("", "_ns")
}
DURATIONS = {"cpu_s", "cpu_times", "elapsed", "elapsed_s", "took_s", "wall_s"}
"""Names that hold seconds of a processor or a wall clock wherever they come from."""
STAMPS = {"t_ns"}
"""Names that hold a moment of a clock of another process."""


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_number(node: ast.AST) -> bool:
    """Return True for arithmetic of numbers alone; any time is above zero, which says nothing."""
    if isinstance(node, ast.Call):
        return _last_name(node) == "approx" and bool(node.args) and _is_number(node.args[0])
    leaves = [part for part in ast.walk(node) if isinstance(part, ast.Constant | ast.Name)]
    values = [part.value for part in leaves if isinstance(part, ast.Constant)]
    numbers = [value for value in values if isinstance(value, int | float) and value]
    return bool(numbers) and len(numbers) == len(leaves)


class Measured:
    """The names of a function that hold a reading of a clock, and those that hold a duration."""

    def __init__(self, function: ast.AST, durations: set[str]) -> None:
        self.readings: set[str] = set()
        self.durations = set(durations)
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                self._note(node.value, {_last_name(target) for target in node.targets})
            elif isinstance(node, ast.Call) and _last_name(node) == "append":
                assert isinstance(node.func, ast.Attribute)
                self._note(node.args[0], {_last_name(node.func.value)})

    def _note(self, value: ast.AST, names: set[str]) -> None:
        if self.is_duration(value):
            self.durations |= names
        elif self._is_reading(value):
            self.readings |= names

    def _is_reading(self, node: ast.AST) -> bool:
        is_call = isinstance(node, ast.Call) and _last_name(node) in CLOCKS
        return is_call or _last_name(node) in self.readings | STAMPS

    def is_duration(self, node: ast.AST) -> bool:
        """Return True if `node` has a difference of two moments of a clock, or a named duration."""
        if isinstance(node, ast.Call) and _last_name(node) == "len":
            return False
        return any(
            _last_name(part) in self.durations
            or (
                isinstance(part, ast.BinOp)
                and isinstance(part.op, ast.Sub)
                and (self._is_reading(part.left) or self._is_reading(part.right))
                and not _is_number(part.right)
            )
            for part in ast.walk(node)
        )


def returns_duration(function: ast.AST) -> bool:
    measured = Measured(function, DURATIONS)
    return any(
        node.value is not None and measured.is_duration(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Return)
    )


def find_absolute_times(nodes: Iterable[ast.AST]) -> list[int]:
    """Return the lines of asserts that compare a duration with a number.

    A loop that waits compares a clock with the moment of its end (`time.monotonic() < until`),
    which is no duration; nor is a ratio of two durations a number of seconds.
    """
    lines: list[int] = []
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    durations = DURATIONS | {f.name for f in functions if returns_duration(f)}
    for function in functions:
        measured = Measured(function, durations)
        for node in ast.walk(function):
            for compared in ast.walk(node) if isinstance(node, ast.Assert) else ():
                if isinstance(compared, ast.Compare):
                    sides = [compared.left, *compared.comparators]
                    if any(map(_is_number, sides)) and any(map(measured.is_duration, sides)):
                        lines.append(compared.lineno)
    return sorted(set(lines))


@pytest.mark.parametrize(
    ("body", "is_absolute"),
    [
        ("start = time.monotonic(); act(); assert time.monotonic() - start < 0.3", True),
        ("start = perf_counter_ns(); act(); assert event.t_ns - start < 1_000_000_000", True),
        (
            "t = time.monotonic(); act(); took_here = time.monotonic() - t; assert took_here < 2",
            True,
        ),
        ("t = time.time(); waits.append(time.time() - t); assert max(waits) < 2.5", True),
        ("t = time.time(); assert time.time() - t == pytest.approx(2, rel=0.1)", True),
        ("assert ok and 29 < time.monotonic() - lost < 33", True),
        ("assert process.cpu_s() - before < 1.0", True),
        ("assert sum(process.cpu_times()[:2]) < 60 * 2", True),
        ("until = time.monotonic() + 20; assert time.monotonic() < until", False),
        (
            "t = time.monotonic(); took_ns = time.monotonic() - t; assert took_ns < stall_ns / 2",
            False,
        ),
        ("assert costs.cpu_s > 0", False),
        ("t = time.time(); waits.append(time.time() - t); assert len(waits) > 5", False),
        ("assert 2.5 < (gap.t_ns - hosts[0].t_ns) / 1e9 < 4", True),
        (
            "assert timed() < 0.2\n\ndef timed():\n    t = time.time(); act()\n"
            "    return time.time() - t",
            True,
        ),
    ],
)
def test_an_absolute_time_is_seen(body: str, is_absolute: bool) -> None:
    tree = ast.parse(f"def test():\n    {body}\n")
    assert bool(find_absolute_times(ast.walk(tree))) == is_absolute


def test_no_test_asserts_an_absolute_time() -> None:
    """Have counts and controls show it: a busy machine is late, and nothing is wrong.

    Scripts of `bench` and `gpu` measure, and may.
    """
    found_at = {
        source.path.relative_to(TESTS).as_posix(): lines
        for source in parse_sources(TESTS)
        if not {"bench", "gpu"} & set(source.path.parts)
        and (lines := find_absolute_times(source.nodes))
    }
    assert found_at == {}
