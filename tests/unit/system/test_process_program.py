"""A process is named by what its interpreter runs, without its other arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.system.process_program import read_program


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("python", ["python", "train.py", "--token", "secret"], "python train.py"),
        ("python3.11", ["/usr/bin/python3.11", "-u", "/home/me/my run.py"], "python3.11 my run.py"),
        ("python", ["python", "-P", "-X", "utf8", "-m", "txtop.worker"], "python txtop.worker"),
        ("python", ["python", "-c", "import os; secret"], "python"),
        ("python", ["python"], "python"),
        ("python", ["python", "-m"], "python"),
        ("python", ["python", "\x1b[31m.py"], r"python \x1b[31m.py"),
        ("postgres", ["postgres", "secret"], "postgres"),
    ],
)
def test_an_interpreter_is_named_with_its_program(
    name: str, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "7").mkdir()
    raw = "".join(f"{argument}\0" for argument in arguments)
    (tmp_path / "7" / "cmdline").write_bytes(raw.encode())
    assert read_program(7, name, tmp_path) == expected


def test_a_process_that_is_gone_keeps_its_name(tmp_path: Path) -> None:
    assert read_program(7, "python", tmp_path) == "python"
