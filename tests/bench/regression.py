"""Check that `txtop compare` finds a real slow-down and reports none where there is none.

`python tests/bench/regression.py [--pairs N]` records a tiny model in alternation, free and with
its worker stopped 1 ms of every 7.6 (about 15 % slower), and compares; then a session with itself,
and with one of another model. Prints the result and the exit code of each comparison.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import tiny_models

RUN_S, STOP_S = 0.0066, 0.001


def throttle(runner_of: psutil.Process, over: threading.Event) -> None:
    """Stop the worker below `runner_of` for a part of every few milliseconds."""
    worker: psutil.Process | None = None
    while not over.is_set():
        with suppress(psutil.Error):
            if worker is None or not worker.is_running():
                children = runner_of.children(recursive=True)
                worker = next((p for p in children if "txtop.worker" in p.cmdline()), None)
        if worker is None:
            time.sleep(0.05)
            continue
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(STOP_S)
            os.kill(worker.pid, signal.SIGCONT)
        time.sleep(RUN_S)


def record(folder: Path, name: str, options: list[str], slowed: bool = False) -> None:
    """Record one headless run; raises if it fails."""
    command = [sys.executable, "-m", "txtop", "run", "--headless", "--name", name]
    process = subprocess.Popen(
        [*command, "--session-dir", str(folder), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    over = threading.Event()
    if slowed:
        threading.Thread(target=throttle, args=(psutil.Process(process.pid), over)).start()
    code = process.wait()
    over.set()
    if code:
        raise SystemExit(f"the run {name} ended with {code}")


def compare(folder: Path, what: str, *arguments: str) -> int:
    """Print the last lines of a comparison and return its exit code."""
    command = [sys.executable, "-m", "txtop", "compare", "--session-dir", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"== {what}: exit {done.returncode}")
    print(done.stdout.strip() or done.stderr.strip(), flush=True)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=11)
    pairs = range(parser.parse_args().pairs)
    with tempfile.TemporaryDirectory(prefix="txtop-regression-") as base:
        folder = Path(base)
        models = [str(tiny_models.gpt2(folder / "gpt2")), str(tiny_models.bert(folder / "bert"))]
        work = ["--sequence-lengths", "8", "--new-tokens", "48"]
        for number in pairs:
            for name, slowed in ((f"free-{number}", False), (f"slow-{number}", True)):
                fixed = ["--iterations", "30", "--warmup", "5"]
                record(folder, name, ["--models", models[0], *work, *fixed], slowed)
        short = ["--sequence-lengths", "8", "--new-tokens", "8", "--iterations", "2000"]
        record(folder, "long", ["--models", models[0], *short])
        record(folder, "other", ["--models", models[1], "--sequence-lengths", "8"])
        free, slow = ([f"{kind}-{n}" for n in pairs] for kind in ("free", "slow"))
        codes = [
            compare(folder, "slowed against free", "--base", *free, "--new", *slow),
            compare(folder, "a session with itself", "long", "long"),
            compare(folder, "another model", "long", "other"),
        ]
    return 0 if codes == [1, 0, 3] else 1


if __name__ == "__main__":
    sys.exit(main())
