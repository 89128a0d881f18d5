"""Measure how long a session of a million steps takes to open and to seek in, and its memory.

`python tests/bench/long_session.py [--steps N]` writes a session like a run of three hours on a
GPU, then opens it in fresh processes and prints the figures.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.large_recording import GPU, HOST, PROCESSES, Recorded
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import events

STEPS = 1_000_000
TOKENS = 64
STEP_NS = 10_000_000
BATCH = 10
WARMUP = 20
LOAD_NS = 6_000_000_000


def generate(path: Path, steps: int = STEPS) -> int:
    """Write the log and return its size in bytes."""
    cells = expand_matrix(
        models=["gpt2", "Qwen3-0.6B"],
        precisions=["fp32", "bf16"],
        attention=["sdpa"],
        batch_sizes=[1, 8, 32],
        sequence_lengths=[128],
        new_tokens=[TOKENS],
    )
    devices = {"host": HOST, "GPU-1": GPU}
    devices |= dict.fromkeys(PROCESSES, ("cpu_s", "rss_bytes"))
    with Recorded(path, Plan(cells=cells), devices) as log:
        for cell in cells:
            log.start(cell, LOAD_NS, device_id="GPU-1")
            for index in range(steps // TOKENS // len(cells)):
                gaps = [STEP_NS + log.draw.randrange(200_000) for _ in range(TOKENS)]
                log.iterate(cell, index, WARMUP, gaps, BATCH)
                if index % 300 == 150:
                    log.put(events.Marker(t_ns=log.at_ns, label=f"marker {cell.id} {index}"))
            log.finish(cell, "budget")
        log.end()
    return path.stat().st_size


def measure(path: Path) -> dict[str, float]:
    """Open, seek and step in this process; return times in ms and memory in MB."""
    from txtop.session.player import Player

    began = time.perf_counter()
    player = Player(path)
    opened = time.perf_counter() - began
    draw = random.Random(2)
    seeks = []
    for place in [draw.randrange(player.duration_ns) for _ in range(200)] + [
        0,
        player.duration_ns,
        1,
        player.duration_ns - 1,
    ]:
        began = time.perf_counter()
        player.seek(place)
        seeks.append((time.perf_counter() - began) * 1e3)
    steps = []
    for number in range(50):
        began = time.perf_counter()
        player.step(-1 if number % 2 else 1)
        steps.append((time.perf_counter() - began) * 1e3)
    seeks.sort()
    return {
        "open_s": opened,
        "seek_median_ms": statistics.median(seeks),
        "seek_p99_ms": seeks[int(0.99 * len(seeks))],
        "seek_worst_ms": seeks[-1],
        "step_worst_ms": max(steps),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--measure", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="txtop-long-") as folder:
        path = Path(folder) / "long.jsonl"
        size = generate(path, options.steps)
        lines = sum(1 for _ in path.open("rb"))
        print(f"{options.steps} steps, {lines} events, {size / 1e6:.0f} MB")
        command = [sys.executable, __file__, "--measure", str(path)]
        runs = [json.loads(subprocess.check_output(command)) for _ in range(3)]
    for name in runs[0]:
        print(f"{name:<15} {statistics.median(run[name] for run in runs):8.2f}")


if __name__ == "__main__":
    main()
