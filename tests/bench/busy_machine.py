"""Prove what txtop does on a machine that others use, with busy loops in the place of the others.

`python tests/bench/busy_machine.py [quiet|middle|throughout] [--runs N] [--hogs N]
[--model DIR]`, on an idle machine; without a name all parts. A tiny model is measured headless.

- quiet: N runs (20), none of which may say a word about others.
- middle: busy loops for 10 s in the middle of a run. Their blocks have to be repeated, and its rate
  be within 2 % of that of its iterations that ran without them. (Another run says less: on a shared
  machine two that nothing disturbed were up to 30 % apart.)
- throughout: busy loops during the whole run. The cell has to say so, without an interval.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import tiny_models
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

PARTS = ("quiet", "middle", "throughout")
RUN_S, QUIET_S = 30.0, 5.0
HOG_FROM_S, HOG_S = 8.0, 10.0
WITHIN = 0.02
# Parts of every word about others, as `txtop.analysis.contention` has them.
ABOUT_OTHERS = ("waited", "others used", "stolen from", "clock fell", "busy")


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Run that many busy loops."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


class Bench:
    """A folder of sessions of one model, all with as many iterations as fill a run."""

    def __init__(self, folder: Path, model: Path, hog_count: int) -> None:
        self._folder, self._model, self._hog_count = folder, model, hog_count
        self._count = 0

    def start(self, *options: str) -> tuple[str, subprocess.Popen[bytes]]:
        """Start a headless run; return its name and its process."""
        self._count += 1
        name = f"run-{self._count}"
        command = [sys.executable, "-m", "txtop", "run", "--headless", "--name", name]
        command += ["--session-dir", str(self._folder), "--models", str(self._model)]
        command += ["--sequence-lengths", "16", "--new-tokens", "32", *options]
        log = (self._folder / f"{name}.txt").open("wb")
        return name, subprocess.Popen(command, stdout=log, stderr=log)

    def end(self, name: str, process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], str]:
        """Wait for a run; return the export of its cell, and what it printed."""
        code = process.wait()
        printed = (self._folder / f"{name}.txt").read_text(errors="replace")
        if code:
            raise SystemExit(f"{name} ended with {code}:\n{printed}")
        command = [sys.executable, "-m", "txtop", "export", name]
        done = subprocess.run(
            [*command, "--session-dir", str(self._folder)], capture_output=True, check=True
        )
        return json.loads(done.stdout)["cells"][0], printed

    def measure(self, *options: str) -> tuple[dict[str, Any], str]:
        """Make one run to its end."""
        return self.end(*self.start(*options))

    def wait_until_measuring(self, name: str) -> None:
        """Wait for the first measured iteration of a run."""
        log = next(iter((self._folder / name).glob("*.jsonl")), None)
        while log is None or b'"role":"measured"' not in log.read_bytes():
            time.sleep(0.1)
            log = next(iter((self._folder / name).glob("*.jsonl")), None)

    def choose_iterations(self) -> str:
        """Return how many iterations fill `RUN_S`, from a short run."""
        cell, _ = self.measure("--budget", "3")
        return str(round(RUN_S * 1000 / cell["metrics"]["e2e_ms"]["mean"]))

    # The parts

    def check_quiet(self, runs: int) -> bool:
        """Count the runs that say a word about others."""
        wrong = 0
        for _ in range(runs):
            cell, printed = self.measure("--budget", str(QUIET_S))
            remarks = [
                line for line in printed.splitlines() if any(w in line for w in ABOUT_OTHERS)
            ]
            wrong += bool(remarks)
            print(f"  {describe(cell)}", *remarks[:3], sep="\n    ", flush=True)
        print(f"quiet: a word about others in {wrong} of {runs} runs")
        return wrong == 0

    def check_middle(self) -> bool:
        """Compare a run that busy loops disturb with the part of it that they do not."""
        name, process = self.start("--iterations", self.choose_iterations())
        self.wait_until_measuring(name)
        time.sleep(HOG_FROM_S)
        from_ns = time.perf_counter_ns()
        with hogs(self._hog_count):
            time.sleep(HOG_S)
        to_ns = time.perf_counter_ns()
        disturbed, _ = self.end(name, process)
        samples = fold_all(read_all(self._folder / name)[0]).cells["c001"].samples
        kept = samples.kept()
        measured = [i for i, role in enumerate(samples.role) if role == "measured"]
        beside = [i for i in measured if from_ns < samples.start_ns[i] + samples.e2e_ns[i] and
                  samples.start_ns[i] < to_ns]  # fmt: skip
        alone = statistics.fmean(samples.e2e_ns[i] for i in {*measured} - {*beside})
        ratio = alone / statistics.fmean(samples.e2e_ns[i] for i in kept)
        naive = alone / statistics.fmean(samples.e2e_ns[i] for i in measured)
        print(f"  {describe(disturbed)}", *disturbed["notes"], sep="\n    ")
        print(f"    {len({*kept} & {*beside})} of {len(beside)} iterations beside the loops count")
        print(f"middle: {ratio:.3f} of the rate without them; {naive:.3f} if nothing was repeated")
        return abs(ratio - 1) <= WITHIN and not disturbed["busy"]

    def check_throughout(self) -> bool:
        """Check that a run beside busy loops says so and has no interval."""
        with hogs(self._hog_count):
            cell, printed = self.measure("--budget", str(RUN_S))
        print(f"  {describe(cell)}", *cell["notes"], sep="\n    ")
        print("    " + next((x for x in printed.splitlines() if "machine is busy" in x), "no line"))
        metric = cell["metrics"]["tokens_per_s"]
        print(f"throughout: busy {cell['busy']}, interval {metric['ci95']}")
        return cell["busy"] and metric["ci95"] is None and "machine is busy" in printed


def describe(cell: dict[str, Any]) -> str:
    """Describe the rate of a cell, its interval, and its state."""
    metric = cell["metrics"]["tokens_per_s"]
    ends = metric["ci95"]
    interval = f"[{ends[0]:.1f}, {ends[1]:.1f}]" if ends else "no interval"
    return f"{metric['mean']:.1f} tok/s {interval} n {metric['n']}" + " busy" * cell["busy"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--hogs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="txtop-busy-") as base:
        folder = Path(base)
        model = options.model or tiny_models.gpt2(folder / "gpt2")
        bench = Bench(folder, model, options.hogs)
        checks = {
            "quiet": lambda: bench.check_quiet(options.runs),
            "middle": bench.check_middle,
            "throughout": bench.check_throughout,
        }
        passed = {part: checks[part]() for part in options.parts or PARTS}
    print(*(f"{part}: {'pass' if good else 'FAIL'}" for part, good in passed.items()), sep="\n")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
