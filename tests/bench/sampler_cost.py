"""Measure the cost of the sampler: CPU of a core at 5 Hz while it watches three processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import psutil

SECONDS = 60.0


def main() -> None:
    watch = ",".join(f"{label}={os.getpid()}" for label in ("runner", "worker", "screen"))
    command = [sys.executable, "-m", "txtop.sampler", "--interval", "0.2", "--watch", watch]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sampler:
        assert sampler.stdin is not None and sampler.stdout is not None
        output, lines = sampler.stdout, [0]
        output.readline()

        def read() -> None:
            lines[0] = sum(1 for _ in output)

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
        f"{share:.2f} % of a core, {resident / 2**20:.0f} MiB, {lines[0]} lines in {elapsed:.0f} s"
    )


if __name__ == "__main__":
    main()
