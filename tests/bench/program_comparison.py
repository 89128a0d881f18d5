"""Compare the figure of a configuration with what its exported program reaches.

The program runs bare, in a process that has nothing of txtop. In each of several pairs it and the
real worker are started afresh, for a process keeps the layout of memory that it got; they hash
alike, so that their tables have one layout. The two of a pair take turns, block by block, in ABBA
order, and each turn is compared with the one beside it, so that what the machine does meanwhile
affects both alike. Medians are compared, which a call that was interrupted does not move. How far
starts are apart is an interval of its own: Student's t of the logs of the pairs.
`program_comparison.py [MODEL [PAIRS [LENGTH [NEW_TOKENS]]]]`; exits 1 if the median of the pairs is
beyond 3 %.
"""

from __future__ import annotations

import math
import os
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
from txtop.stats.intervals import compute_student_t_interval

PAIRS, MOST_AWAY = 12, 0.03
BLOCKS, BLOCK_S, LEAST_CALLS = 12, 0.15, 3
# It answers each line, a number of calls, with the seconds of each.
DRIVER = """
import sys, time, runpy
program = runpy.run_path(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        begun = time.perf_counter()
        program["call"]()
        seconds.append(time.perf_counter() - begun)
    print(*seconds, flush=True)
"""


class Program:
    """The exported program in a process of its own."""

    def __init__(self, text: str, environment: dict[str, str]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
            file.write(text)
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environment,
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the program ended"
        return line

    def call(self, count: int) -> list[float]:
        """Return the seconds of `count` calls."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return list(map(float, self._answer().split()))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Measured:
    """A worker, started as the command, that has loaded a cell."""

    def __init__(self, cell: Cell, environment: dict[str, str]) -> None:
        self._worker = WorkerProcess(cold=True, **environment)
        self._cell, self._count = cell, 0
        self.load = self._worker.load(cell)
        self._worker.send(commands.Prepare(cell=cell))

    def call(self, count: int, role: events.Role = "measured") -> list[float]:
        """Return the seconds of `count` calls, as the worker says."""
        index, self._count = self._count, self._count + count
        self._worker.send(commands.Iterate(cell=self._cell.id, role=role, index=index, count=count))
        return [self._worker.until(events.Iteration).e2e_ns / 1e9 for _ in range(count)]

    def close(self) -> None:
        self._worker.close()


def write_program(cell: Cell, load: events.ModelLoaded) -> str:
    header = streams.stream(Plan(cells=(cell,)))[:2]
    started = events.CellStarted(t_ns=header[1].t_ns, cell=cell.id, worker="w")
    state = fold_all([*header, started, load])
    return build_snippet(state, state.cells[cell.id])


def compare_pair(cell: Cell, number: int) -> tuple[float, float]:
    """Return the rate by txtop, and how many times that of the program it is, in their turns.

    Both processes are fresh; `number` is the seed of what they hash.
    """
    environment = {"PYTHONHASHSEED": str(number)}
    measured = Measured(cell, environment)
    program = Program(write_program(cell, measured.load), environment)
    measured.call(1, "first")
    measured.call(4, "warmup")
    count = max(LEAST_CALLS, math.ceil(BLOCK_S / median(program.call(5))))
    measured.call(count, "warmup")
    program.call(count)
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(BLOCKS):
        if turn % 2:
            ours.append(median(measured.call(count)))
            theirs.append(median(program.call(count)))
        else:
            theirs.append(median(program.call(count)))
            ours.append(median(measured.call(count)))
    measured.close()
    program.close()
    ratio = median(bare / own for own, bare in zip(ours, theirs, strict=True))
    return cell.batch_size * cell.new_tokens / median(ours), ratio


def main() -> int:
    given = sys.argv[1:]
    model = given[0] if given else str(tiny_models.gpt2(Path(tempfile.mkdtemp()) / "m", layers=8))
    pairs, length, new_tokens = [*map(int, given[1:]), *(PAIRS, 16, 8)[max(0, len(given) - 1) :]]
    worst = 0.0
    for precision, batch in (("fp32", 1), ("bf16", 4)):
        cell = Cell(id="c1", model=model, precision=precision, batch_size=batch, threads=1,  # type: ignore[arg-type]
                    sequence_length=length, new_tokens=new_tokens, device="cpu")  # fmt: skip
        logs = []
        for number in range(pairs):
            rate, ratio = compare_pair(cell, number)
            logs.append(math.log(ratio))
            print(f"  {rate:,.1f} by txtop, {ratio - 1:+.2%} against bare", flush=True)
        away = math.expm1(median(logs))
        worst = max(worst, abs(away))
        low, high = compute_student_t_interval(logs) or (-math.inf, math.inf)
        starts = f"[{math.expm1(low):+.2%}, {math.expm1(high):+.2%}] over {pairs} starts"
        print(f"{precision} batch {batch}: {away:+.2%} {starts}", flush=True)
    print(f"largest difference {worst:.2%}, allowed {MOST_AWAY:.0%}")
    return int(worst > MOST_AWAY)


if __name__ == "__main__":
    sys.exit(main())
