"""Compare the figure of a configuration with what its exported program reaches.

The program runs bare in a fresh process, which has nothing of txtop. It and the real worker take
turns, call by call, in ABBA order, so that what the machine does meanwhile affects both alike; the
medians are compared, which a call that was interrupted does not move.
`program_comparison.py [MODEL]`; exits 1 if they differ by more than 3 %.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import streams, tiny_models
from support.worker_process import WorkerProcess
from txtop.export.snippet import build_snippet
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

WARMUP, PAIRS, MOST_AWAY = 5, 160, 0.03
# It answers each line with the seconds of one call.
DRIVER = """
import sys, time, runpy
program = runpy.run_path(sys.argv[1])
print("ready", flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    program["call"]()
    print(time.perf_counter() - begun, flush=True)
"""


class Program:
    """The exported program in a process of its own."""

    def __init__(self, text: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
            file.write(text)
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def call(self) -> float:
        """Return the seconds of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def fold_load(cell: Cell, load: events.ModelLoaded) -> SessionState:
    header = streams.stream(Plan(cells=(cell,)))[:2]
    started = events.CellStarted(t_ns=header[1].t_ns, cell=cell.id, worker="w")
    return fold_all([*header, started, load])


def measure(cell: Cell) -> tuple[float, float]:
    """Return the median tokens/s by txtop and by the program, of calls that took turns."""
    worker = WorkerProcess()
    load = worker.load(cell)
    worker.send(commands.Prepare(cell=cell))
    state = fold_load(cell, load)
    program = Program(build_snippet(state, state.cells[cell.id]))
    ours: list[float] = []
    theirs: list[float] = []

    def call_worker(index: int, role: events.Role) -> None:
        worker.send(commands.Iterate(cell=cell.id, role=role, index=index))
        ours.append(worker.until(events.Iteration).e2e_ns / 1e9)

    for index in range(WARMUP + PAIRS):
        role: events.Role = "measured" if index >= WARMUP else "warmup" if index else "first"
        if index % 2:
            call_worker(index, role)
            theirs.append(program.call())
        else:
            theirs.append(program.call())
            call_worker(index, role)
    worker.close()
    program.close()
    work = cell.batch_size * cell.new_tokens
    return work / median(ours[WARMUP:]), work / median(theirs[WARMUP:])


def main() -> int:
    folder = Path(tempfile.mkdtemp())
    model = sys.argv[1] if len(sys.argv) > 1 else str(tiny_models.gpt2(folder / "m", layers=8))
    worst = 0.0
    for precision, batch in (("fp32", 1), ("bf16", 4)):
        cell = Cell(id="c1", model=model, precision=precision, batch_size=batch, threads=1,  # type: ignore[arg-type]
                    sequence_length=16, new_tokens=8, device="cpu")  # fmt: skip
        ours, theirs = measure(cell)
        away = ours / theirs - 1
        worst = max(worst, abs(away))
        print(f"{precision} batch {batch}: {ours:,.1f} by txtop, {theirs:,.1f} bare, {away:+.2%}")
    print(f"largest difference {worst:.2%}, allowed {MOST_AWAY:.0%}")
    return int(worst > MOST_AWAY)


if __name__ == "__main__":
    sys.exit(main())
