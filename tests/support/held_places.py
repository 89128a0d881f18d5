"""A run on places that an engine holds: its arguments, and its copies beside what they copy."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.command_line import TXTOP
from support.paths import ROOT, SHIM

CELLS = ("--models", "ok", "--sequence-lengths", "8", "--batch-sizes", "1", "4", "--warmup", "1")


def build_arguments(
    folder: Path, *on: str, iterations: int = 5, program: Sequence[str] = TXTOP
) -> list[str]:
    """Build the arguments of a run `f` that `program` records in `there`, copied to `here`."""
    environment = f"env TXTOP_SESSION_DIR={folder / 'there'} PYTHONPATH={SHIM}:{ROOT}"
    there = ("--on-command", f"{environment} {shlex.join(program)}")
    here = ("--session-dir", str(folder / "here"), "--name", "f", *there)
    return ["run", *CELLS, "--iterations", str(iterations), *here, "--on", *on]


def start(arguments: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    """Start txtop with these arguments, its lines on standard error to be read."""
    return subprocess.Popen(
        [*TXTOP, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def require_equal_copies(folder: Path, *labels: str) -> None:
    """Assert that each copy has the bytes of its log."""
    for label in labels:
        there = folder / "there" / f"f-{label}" / "events.jsonl"
        here = folder / "here" / "f" / f"f-{label}" / "events.jsonl"
        assert there.read_bytes() == here.read_bytes()
