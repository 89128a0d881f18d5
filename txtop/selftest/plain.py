"""The bare arm: a process that does a block of iterations for each line it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from txtop.errors import RunError
from txtop.selftest.tree import Tree
from txtop.selftest.verdict import Gaps


class Told:
    """Speaks the protocol of `txtop.bench.bare` with `command`. Raises `RunError` if it dies."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._tree = Tree(self._process.pid)

    def wait_loaded(self) -> None:
        """Until the model is loaded; then stops it until its first turn."""
        self._answer()
        self._tree.stop()

    def turn(self, iterations: int) -> Gaps:
        """Gaps in ns of `iterations` iterations; one before them does not count."""
        self._tree.go_on()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"iterations": 1 + iterations}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        gaps: Gaps = json.loads(self._answer())["gaps_ns"]
        self._tree.stop()
        return gaps[1:]

    def close(self) -> None:
        self._tree.kill()
        self._process.wait()

    def _answer(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return line

    def _died(self) -> RunError:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return RunError(f"the bare loop ended: {lines[-1] if lines else 'no word'}")


def bare_command(
    config: Path, *, sequence_length: int, new_tokens: int, threads: int
) -> Sequence[str]:
    """A process that shares no code with the rest."""
    return [
        sys.executable,
        "-m",
        "txtop.bench.bare",
        str(config),
        "--sequence-length",
        str(sequence_length),
        "--new-tokens",
        str(new_tokens),
        "--threads",
        str(threads),
    ]
