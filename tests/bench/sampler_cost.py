"""What the sampler itself costs: CPU of a core at 5 Hz, with three processes watched."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

SECONDS = 20.0


def main() -> None:
    watch = ",".join(f"{label}={os.getpid()}" for label in ("runner", "worker", "screen"))
    command = [sys.executable, "-m", "txtop.telemetry", "--interval", "0.2", "--watch", watch]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sampler:
        assert sampler.stdin is not None and sampler.stdout is not None
        sampler.stdout.readline()
        time.sleep(1)
        process = psutil.Process(sampler.pid)
        before, started = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(SECONDS)
        spent, elapsed = sum(process.cpu_times()[:2]) - before, time.monotonic() - started
        resident = process.memory_info().rss
        sampler.stdin.close()
        lines = sampler.stdout.read().count(b"\n")
    print(f"{100 * spent / elapsed:.2f} % of a core, {resident / 2**20:.0f} MiB, {lines} lines")


if __name__ == "__main__":
    main()
