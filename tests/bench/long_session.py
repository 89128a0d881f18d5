"""A session of a million steps: how long it takes to open and to seek in, and in how much memory.

`python tests/bench/long_session.py [--steps N]` writes one like a run of three hours on a GPU,
then opens it in fresh processes and prints what it measures.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import streams

from txtop import events, stats
from txtop.plan import Plan, matrix

STEPS = 1_000_000
TOKENS = 64
STEP_NS = 10_000_000
BATCH = 10
TELEMETRY_NS = 200_000_000
HOST = ("cpu_percent", "memory_used_bytes", "memory_total_bytes", "swap_used_bytes", "load_1")
GPU = (
    "utilization",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_w",
    "energy_j",
    "temperature_c",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "foreign_processes",
)
PROCESSES = ("process:runner", "process:sampler", "process:screen", "process:worker:1")


def generate(path: Path, steps: int = STEPS) -> int:
    """Writes the log; returns its bytes."""
    cells = matrix(
        models=["gpt2", "Qwen3-0.6B"],
        precisions=["fp32", "bf16"],
        attention=["sdpa"],
        batch_sizes=[1, 8, 32],
        sequence_lengths=[128],
        new_tokens=[TOKENS],
    )
    head = streams.stream(Plan(cells=cells))[:2]
    at = head[0].t_ns
    seq = 0
    watched_ns = at
    draw = random.Random(1)
    iterations = steps // TOKENS // len(cells)

    with path.open("wb") as file:

        def put(event: events.AnyEvent) -> None:
            nonlocal seq
            seq += 1
            event.seq = seq
            file.write(events.encode(event))

        def watch(until_ns: int) -> None:
            nonlocal watched_ns
            while watched_ns + TELEMETRY_NS <= until_ns:
                watched_ns += TELEMETRY_NS
                wave = 50 + 40 * math.sin(watched_ns / 1e11)
                values = {name: wave + draw.random() for name in HOST}
                put(events.Telemetry(src="sampler", t_ns=watched_ns, device="host", values=values))
                values = {name: wave + draw.random() for name in GPU}
                put(events.Telemetry(src="sampler", t_ns=watched_ns, device="GPU-1", values=values))
                for name in PROCESSES:
                    values = {"cpu_s": watched_ns / 1e10, "rss_bytes": 1e9}
                    told = events.Telemetry(
                        src="sampler", t_ns=watched_ns, device=name, values=dict(values)
                    )
                    put(told)

        for event in head:
            put(event)
        for number, cell in enumerate(cells):
            put(events.CellStarted(t_ns=at, cell=cell.id, worker=f"worker:{number}"))
            at += 6_000_000_000
            watch(at)
            put(streams.load(at, cell.id, device_id="GPU-1"))
            put(events.Workload(t_ns=at, cell=cell.id, inputs_sha256="ab", threads=1))
            for index in range(iterations):
                role: events.Role = (
                    "first" if index == 0 else "warmup" if index < 20 else "measured"
                )
                start = at
                gaps = [STEP_NS + draw.randrange(200_000) for _ in range(TOKENS)]
                for first in range(0, TOKENS, BATCH):
                    some = gaps[first : first + BATCH]
                    at += sum(some)
                    watch(at)
                    put(
                        events.Steps(
                            src="worker:1",
                            t_ns=at,
                            cell=cell.id,
                            index=index,
                            first=first,
                            gaps_ns=some,
                        )
                    )
                put(
                    events.Iteration(
                        src="worker:1",
                        t_ns=at,
                        cell=cell.id,
                        index=index,
                        role=role,
                        start_ns=start,
                        e2e_ns=at - start,
                        ttft_ns=gaps[0],
                        tokens=TOKENS,
                    )
                )
                if index % 300 == 150:
                    put(events.Marker(t_ns=at, label=f"marker {cell.id} {index}"))
            put(events.Memory(t_ns=at, cell=cell.id, host_bytes=1 << 30))
            put(events.CellFinished(t_ns=at, cell=cell.id, status="ok", stopped_by="budget"))
        put(
            events.Ended(
                t_ns=at, reason="done", wall_s=1.7e9, statistics_version=stats.VERSION, sha256="0"
            )
        )
    return path.stat().st_size


def measure(path: Path) -> dict[str, float]:
    """Opens, seeks and steps in this process; times in ms, memory in MB."""
    from txtop.session.play import Player

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
