"""Compare the figures of a cell with those of a plain script that a reader can check.

tests/support/plain_script.py calls generate() or forward() and reads its own clock. It and the real
worker take turns, call by call, in ABBA order, so that what the machine does meanwhile affects both
alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean, median

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import streams
from support.paths import SUPPORT
from support.worker_process import WorkerProcess
from txtop.analysis.metrics import FinalMetrics
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.state.fold import fold_all

THREADS, WARMUP, PAIRS = 1, 3, 40
CELLS = (
    Cell(id="c1", model="gpt2", weights="random", threads=THREADS, sequence_length=32,
         new_tokens=16),
    Cell(id="c1", model="bert-base-uncased", weights="random", threads=THREADS,
         sequence_length=64),
)  # fmt: skip


class Script:
    """The plain script in a process of its own."""

    def __init__(self, cell: Cell) -> None:
        kind = "gpt2" if cell.model == "gpt2" else "bert"
        numbers = map(str, (THREADS, cell.sequence_length, cell.new_tokens))
        self._process = subprocess.Popen(
            [sys.executable, str(SUPPORT / "plain_script.py"), kind, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def call(self) -> list[float]:
        """Return the seconds from the start of the call to each put, including the prompt's."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return list(map(float, json.loads(self._answer())))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def by_hand(cell: Cell, calls: list[list[float]]) -> dict[str, float]:
    """Compute the figures by the formulas of docs/method.md, written down once more."""
    figures: dict[str, list[float]] = {}
    for puts in calls:
        end = puts[-1]
        row = {"e2e_ms": end * 1e3, "sequences_per_s": cell.batch_size / end}
        if len(puts) > 1:
            first = puts[1]
            row |= {
                "ttft_ms": first * 1e3,
                "tpot_ms": (end - first) / (cell.new_tokens - 1) * 1e3,
                "tokens_per_s": cell.batch_size * cell.new_tokens / end,
                "prefill_tokens_per_s": cell.batch_size * cell.sequence_length / first,
                "decode_tokens_per_s": cell.batch_size * (cell.new_tokens - 1) / (end - first),
            }
        for name, value in row.items():
            figures.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in figures.items()}


def measure(cell: Cell) -> tuple[dict[str, float], dict[str, float]]:
    """Return the means by txtop and by hand of calls that took turns."""
    worker, script, calls = WorkerProcess(), Script(cell), []
    load = worker.load(cell)
    worker.send(commands.Prepare(cell=cell))
    seen: list[events.AnyEvent] = [load]
    for index in range(1 + WARMUP + PAIRS):
        role: events.Role = "measured" if index > WARMUP else "warmup" if index else "first"

        def theirs(index: int = index, role: events.Role = role) -> None:
            start = len(worker.seen)
            worker.send(commands.Iterate(cell=cell.id, role=role, index=index))
            worker.until(events.Iteration)
            seen.extend(worker.seen[start:])

        turns = [theirs, lambda: calls.append(script.call())]
        for turn in turns if index % 2 else reversed(turns):
            turn()
    worker.close()
    script.close()
    header = streams.stream(Plan(cells=(cell,), iterations=PAIRS))[0]
    started = events.CellStarted(t_ns=header.t_ns, cell=cell.id, worker="w")
    state = fold_all([header, started, *seen]).cells[cell.id]
    figures = FinalMetrics().of(state)
    ours = {name: s.mean for name, s in figures.items() if s.mean is not None}
    return ours, by_hand(cell, calls[1 + WARMUP :])


def main() -> None:
    worst = []
    for cell in CELLS:
        ours, plain = measure(cell)
        for name, value in plain.items():
            away = ours[name] / value - 1
            worst.append(abs(away))
            print(f"{cell.model:<18} {name:<21} txtop {ours[name]:9.3f}   "
                  f"script {value:9.3f}   {away:+.2%}")  # fmt: skip
    print(f"largest difference {max(worst):.2%}, median {median(worst):.2%} (to be within 3 %)")


if __name__ == "__main__":
    main()
