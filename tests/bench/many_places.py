"""Measure the screen of a fleet whose places each send what a running cell on a GPU sends.

`python tests/bench/many_places.py [--places 64] [--seconds 45]` copies generated logs as they would
come over a line, shows them at 120x40, and prints the time of a frame and the CPU and memory of the
program. The processes that stand for the lines are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.large_recording import GPU, HOST, Recorded
from support.paths import ROOT
from txtop.fleet.folder import FleetOrder, create_fleet
from txtop.fleet.places import RemotePlace
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan

TOKENS = 64
STEP_NS = 10_000_000
BATCH = 10
WARMUP = 20
# After the start, whose imports and first frames are no steady state.
SETTLE_S = 10.0
TICK_S = 0.1


def generate(path: Path, seconds: float) -> list[tuple[float, bytes]]:
    """Write the log of cells of ten seconds each; return its lines with their times in s."""
    cells = expand_matrix(
        models=["gpt2"],
        precisions=["fp32", "bf16"],
        attention=["sdpa"],
        batch_sizes=[1, 8, 32],
        sequence_lengths=[128],
        new_tokens=[TOKENS],
    )
    devices = {"host": HOST, "GPU-1": GPU, "process:worker:1": ("cpu_s", "rss_bytes")}
    with Recorded(path, Plan(cells=cells), devices) as log:
        began_ns = log.at_ns
        for number in range(10_000):
            cell = cells[min(number, len(cells) - 1)]
            if number < len(cells):
                log.start(cell, 500_000_000, device_id="GPU-1")
            for index in range(16):
                gaps = [STEP_NS + log.draw.randrange(200_000) for _ in range(TOKENS)]
                log.iterate(cell, index + 16 * max(0, number - len(cells) + 1), WARMUP, gaps, BATCH)
            if number < len(cells) - 1:
                log.finish(cell, "budget")
            if log.at_ns - began_ns > seconds * 1e9:
                break
    lines = path.read_bytes().splitlines(keepends=True)
    return [((json.loads(line)["t_ns"] - began_ns) / 1e9, line) for line in lines]


def send(fifos: list[Path], lines: list[tuple[float, bytes]], stop: threading.Event) -> None:
    """Send every place the lines as they come due."""
    files = [os.open(fifo, os.O_RDWR) for fifo in fifos]
    began_s = time.monotonic()
    at = 0
    while not stop.is_set() and at < len(lines):
        until_s = time.monotonic() - began_s
        due = b""
        while at < len(lines) and lines[at][0] <= until_s:
            due += lines[at][1]
            at += 1
        for file in files:
            # Not all at once: places know nothing of each other.
            if stop.wait(TICK_S / len(files)):
                return
            if due:
                os.write(file, due)


def show(folder: Path, seconds: float, out: Path) -> None:
    """Show the fleet in this process for so long, and write what its frames took."""

    from txtop.fleet.fleet_run import FleetCopies
    from txtop.fleet.followed import FleetFollower
    from txtop.ui import launch
    from txtop.ui.fleet_mode import FleetMode
    from txtop.ui.screens.fleet import FleetScreen

    times: dict[str, list[float]] = {"read": [], "build": [], "draw": []}
    own: dict[str, list[float]] = {"read": [], "build": [], "draw": []}

    def timed(owner: type, name: str, label: str) -> None:
        inner = getattr(owner, name)

        def outer(*arguments: object, **more: object) -> object:
            began_s, cpu_s = time.perf_counter(), time.thread_time()
            try:
                return inner(*arguments, **more)
            finally:
                times[label].append((time.perf_counter() - began_s) * 1e3)
                own[label].append((time.thread_time() - cpu_s) * 1e3)

        setattr(owner, name, outer)

    timed(FleetFollower, "update", "read")
    timed(FleetMode, "build", "build")
    timed(FleetScreen, "show", "draw")
    copies = FleetCopies(folder)
    copies.start()
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        time.sleep(SETTLE_S)
        for part in times, own:
            for label in part:
                part[label].clear()
        marks.append((time.monotonic(), time.process_time()))
        time.sleep(seconds - SETTLE_S)
        marks.append((time.monotonic(), time.process_time()))
        out.write_text(
            json.dumps(
                {
                    "wall_ms": times,
                    "cpu_ms": own,
                    "cpu": (marks[1][1] - marks[0][1]) / (marks[1][0] - marks[0][0]),
                    "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                    "threads": threading.active_count(),
                    "copied": sum(path.stat().st_size for path in folder.glob("*/events.jsonl")),
                    "silent": sum(copy.is_lagging for copy in copies.copies.values()),
                }
            )
        )
        os._exit(0)

    threading.Thread(target=mark, daemon=True).start()
    launch.run_fleet(folder, copies)


def measure(places: int, seconds: float) -> tuple[dict[str, object], float]:
    """Return what `show` wrote in a process on a terminal of 120x40, and the lines a place sends a
    second."""
    with tempfile.TemporaryDirectory(prefix="txtop-places-") as name:
        work = Path(name)
        lines = generate(work / "template.jsonl", seconds + 30)
        fifos = []
        remote = []
        for number in range(places):
            fifo = work / f"fifo-{number}"
            os.mkfifo(fifo)
            fifos.append(fifo)
            remote.append(RemotePlace(f"gpu{number}", "exec", f"sh -c 'exec cat {fifo}' --"))
        folder = create_fleet(work, "fleet", FleetOrder(["txtop"], b""), remote)
        out = work / "out.json"
        terminal, inner = pty.openpty()
        ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        screen = subprocess.Popen(
            [sys.executable, __file__, "--show", str(folder), str(out), "--seconds", str(seconds)],
            stdin=inner,
            stdout=inner,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        os.close(inner)
        stop = threading.Event()
        sender = threading.Thread(target=send, args=(fifos, lines, stop))
        sender.start()
        drain = threading.Thread(target=_drain, args=(terminal,), daemon=True)
        drain.start()
        try:
            errors = screen.communicate(timeout=seconds + 40)[1]
        finally:
            screen.kill()
            stop.set()
            sender.join()
            os.close(terminal)
        if not out.exists():
            raise SystemExit(errors.decode(errors="replace")[-2000:])
        rate = sum(SETTLE_S < at < seconds for at, _ in lines) / (seconds - SETTLE_S)
        return json.loads(out.read_text()), rate


def _drain(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, nargs="+", default=[64])
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--show", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show:
        show(options.show[0], options.seconds, options.show[1])
        return
    for places in options.places:
        result, rate = measure(places, options.seconds)
        print(f"{places} places, each {rate:.0f} events/s, {result['silent']} silent")
        for label in ("read", "build", "draw"):
            wall = sorted(result["wall_ms"][label])  # type: ignore[index]
            own = result["cpu_ms"][label]  # type: ignore[index]
            print(
                f"  {label:<6} median {statistics.median(wall):5.1f} ms, 99 % under"
                f" {wall[int(0.99 * (len(wall) - 1))]:5.1f} ms, own work"
                f" {statistics.fmean(own):4.1f} ms, n {len(wall)}"
            )
        print(
            f"  {result['cpu'] * 100:.1f} % of a core, {result['rss_mb']:.0f} MB,"  # type: ignore[operator]
            f" {result['threads']} threads, {result['copied'] / 2**20:.1f} MiB copied"  # type: ignore[operator]
        )


if __name__ == "__main__":
    main()
