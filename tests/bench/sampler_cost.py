"""Measure the cost of the sampler: CPU of a core at 5 Hz while it watches three processes.

With a number it samples that many GPUs of the scripted NVML, the first one in use. That library
reads its scenario anew in every call and costs far more than NVIDIA's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.scripted_nvml import Scenario, build

SECONDS = 60.0


def scripted_gpus(count: int, folder: Path) -> dict[str, str]:
    """The environment in which the sampler finds that many GPUs."""
    (folder / "library").mkdir()
    scenario = Scenario(build(folder / "library"), folder)
    scenario.write(*(f"gpu GPU-{i} Fake H100" for i in range(count)))
    return scenario.environment


def main() -> None:
    gpus = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with TemporaryDirectory() as folder:
        measure(scripted_gpus(gpus, Path(folder)) if gpus else {})


def measure(environment: dict[str, str]) -> None:
    watch = ",".join(f"{label}={os.getpid()}" for label in ("runner", "worker:1", "screen"))
    command = [sys.executable, "-m", "txtop.sampler", "--interval", "0.2", "--watch", watch]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    ) as sampler:
        assert sampler.stdin is not None and sampler.stdout is not None
        sampler.stdin.write(b"use GPU-0\n" if environment else b"")
        sampler.stdin.flush()
        output, lines = sampler.stdout, [0, 0]
        output.readline()

        def read() -> None:
            for line in output:
                lines[0] += 1
                lines[1] += b'"GPU-' in line

        # A sampler whose reader is slow drops samples, which would be cheap.
        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(1)
        process = psutil.Process(sampler.pid)
        before, started = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(SECONDS)
        spent, elapsed = sum(process.cpu_times()[:2]) - before, time.monotonic() - started
        resident = process.memory_info().rss
        sampler.stdin.close()
        reader.join()
    share = 100 * spent / elapsed
    print(
        f"{share:.2f} % of a core, {resident / 2**20:.0f} MiB, {lines[0]} lines"
        f" ({lines[1]} of GPUs) in {elapsed:.0f} s"
    )


if __name__ == "__main__":
    main()
