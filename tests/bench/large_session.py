"""Measure opening, a frame, scrolling and seeking of a session of 1,000 cells, 8 GPUs and an hour.

`python tests/bench/large_session.py` writes such a session, opens it in a fresh process and prints
the median and the worst of many repetitions. A frame is what a replay draws four times a second:
the view built from the state, and every line of the panels that are visible.
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
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.large_recording import GPU, HOST, Recorded
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.ui.drawing.area import Area

HOUR_NS = 3_600_000_000_000
GPUS = 8
ITERATIONS = 13
WARMUP = 3
TOKENS = 8
SIZES = ((80, 24), (120, 40), (200, 60))


def plan() -> Plan:
    """Return a plan of 5 precisions x 10 batches x 20 lengths."""
    cells = expand_matrix(
        models=["Qwen3-0.6B"],
        precisions=["fp32", "bf16", "fp16", "int8:weight-only", "int8:dynamic"],
        attention=["sdpa"],
        batch_sizes=[2**i for i in range(10)],
        sequence_lengths=[64 * i for i in range(1, 21)],
        new_tokens=[TOKENS],
    )
    return Plan(cells=cells, iterations=ITERATIONS - WARMUP, warmup=WARMUP - 1)


def generate(path: Path) -> int:
    """Write the log and return the number of its events."""
    session_plan = plan()
    step_ns = HOUR_NS // len(session_plan.cells) // (ITERATIONS + 1) // TOKENS
    devices = {"host": HOST} | {f"GPU-{i}": GPU for i in range(GPUS)}
    with Recorded(path, session_plan, devices) as log:
        for number, cell in enumerate(session_plan.cells):
            log.start(cell, step_ns * TOKENS, device="cuda", device_id=f"GPU-{number % GPUS}")
            for index in range(ITERATIONS):
                gaps = [step_ns + log.draw.randrange(step_ns // 100) for _ in range(TOKENS)]
                log.iterate(cell, index, WARMUP, gaps, TOKENS)
            log.finish(cell, "iterations")
        log.end()
    return log.count


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Return the duration of every call in ms."""
    times_ms = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        times_ms.append((time.perf_counter() - began) * 1e3)
    return times_ms


def measure(path: Path) -> dict[str, tuple[float, float]]:
    """Return the median and the worst of every figure, in ms, measured in this process."""
    from txtop.session.player import Player
    from txtop.ui.drawing import glyphs
    from txtop.ui.models import cell_sorting
    from txtop.ui.models.cache import FrameCache
    from txtop.ui.models.view import Playback, View, build_view
    from txtop.ui.panels import cells, hero, log, machine
    from txtop.ui.panels.filtered_list import TextFilter

    figures: dict[str, list[float]] = {}
    players: list[Player] = []
    figures["open"] = timed(lambda: players.append(Player(path)), 1)
    player = players[0]
    draw = random.Random(2)
    memo = FrameCache()

    def view() -> View:
        return build_view(player.state, memo=memo, playback=Playback.of(player))

    player.seek(player.duration_ns // 2)
    figures["first view, half way"] = timed(view, 1)
    for _ in range(600):
        view()
    figures["view, half way"] = timed(view, 40)

    def seek() -> None:
        player.seek(draw.randrange(player.duration_ns))
        view()

    figures["seek and view"] = timed(seek, 100)
    player.seek(player.duration_ns)
    for _ in range(1_100):
        view()
    figures["view, at the end"] = timed(view, 40)
    frame_view = view()
    g = glyphs.get_glyphs()
    for width, height in SIZES:

        def panels(cursor: int, width: int = width, height: int = height) -> None:
            boxed = width >= 100
            half = round(0.57 * width)
            hero.render_hero(frame_view.hero, Area(half, 15, g, boxed=boxed))
            machine.render_machine(frame_view.machine, Area(width - half, 15, g, boxed=boxed))
            log.render_log(frame_view.log, Area(width, 7, g, boxed=boxed))
            cells.render_cells(
                frame_view.cells,
                None,
                Area(width, height - 3, g, boxed=boxed, focused=True),
                cursor=cursor,
            )

        places = iter(draw.choices(range(1_000), k=1_000))
        figures[f"lines, {width}x{height}"] = timed(lambda p=panels, at=places: p(next(at)), 60)
    text_filter = TextFilter()
    text_filter.text = "bf16 batch 64"

    def narrow() -> None:
        left = [
            row
            for row in frame_view.cells
            if text_filter.matches(cell_sorting.build_filter_text(row))
        ]
        cell_sorting.sort_rows(left, "tpot")

    figures["filter and order"] = timed(narrow, 60)
    figures["memory MB"] = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
    return {name: (statistics.median(values), max(values)) for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="txtop-large-") as folder:
        path = Path(folder) / "large.jsonl"
        count = generate(path)
        print(f"1000 cells, {GPUS} GPUs, 1 h: {count} events, {path.stat().st_size / 1e6:.0f} MB")
        command = [sys.executable, __file__, "--measure", str(path)]
        runs = [json.loads(subprocess.check_output(command)) for _ in range(3)]
    print(f"{'ms':<24} {'median':>9} {'worst':>9}")
    for name in runs[0]:
        middle = statistics.median(run[name][0] for run in runs)
        print(f"{name:<24} {middle:9.1f} {max(run[name][1] for run in runs):9.1f}")


if __name__ == "__main__":
    main()
