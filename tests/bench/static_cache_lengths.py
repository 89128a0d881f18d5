"""Compare a cell with a static cache after a longer one in the same worker, and alone.

A library that remembers the longest cache asked for gives the shorter cell that one: it is slower
and takes more memory. In each of several starts two real workers are begun anew, for processes of
the same program differ by 1 % to 3 % for as long as they live. One has measured a cell of 900
tokens before that of 64, the other that of 64 alone; then they take turns, and the other is first
every second time. A start counts as the median ratio of its turns. The worker that is begun first
stays slower by some percent, whichever it is, so that two starts make a pair: each begins with
another one, and the geometric mean of both counts.

`static_cache_lengths.py [MODEL|built-in [PAIRS]]`; exits 1 unless cache bytes are equal and the
median of the pairs is within 3 %; its interval is printed beside it.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from statistics import geometric_mean, median

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.worker_process import WorkerProcess
from txtop.plan.cell import Cell
from txtop.protocol import commands, events

PAIRS, MOST_AWAY = 6, 0.03
LONG, SHORT, NEW_TOKENS = 900, 64, 32
TURNS, CALLS, WARM_CALLS = 20, 2, 3
CONFIDENCE = 0.95
# Its cache of 900 tokens is as large as its weights, so that the wrong one could not be missed.
BUILT_IN = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 2048,
    "n_positions": 1024, "n_embd": 256, "n_layer": 4, "n_head": 4,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


class Measured:
    """A worker that has measured cells of these lengths, each in turn; the last one stays."""

    def __init__(self, model: str, *lengths: int) -> None:
        self._worker, self._index = WorkerProcess(cold=True), 0
        cells = [
            Cell(id=f"c{length}", model=model, weights="random", device="cpu", threads=1,
                 cache="static", sequence_length=length, new_tokens=NEW_TOKENS)
            for length in lengths
        ]  # fmt: skip
        self._cells = cells
        self.cache_bytes: int | None = None

    def prepare(self) -> None:
        """Load, and call each cell as a run does before it measures."""
        self._worker.load(self._cells[0])
        for cell in self._cells:
            self._worker.send(commands.Prepare(cell=cell))
            self._index = 0
            (first,) = self._iterate(cell, "first", 1)
            self.cache_bytes = first.cache_bytes
            self._iterate(cell, "warmup", WARM_CALLS)

    def measure_tpot_ns(self) -> float:
        """Return the median TPOT of some calls of the last cell."""
        made = self._iterate(self._cells[-1], "measured", CALLS)
        return median((one.e2e_ns - (one.ttft_ns or 0)) / (NEW_TOKENS - 1) for one in made)

    def _iterate(self, cell: Cell, role: events.Role, count: int) -> list[events.Iteration]:
        index, self._index = self._index, self._index + count
        self._worker.send(commands.Iterate(cell=cell.id, role=role, index=index, count=count))
        return [self._worker.until(events.Iteration) for _ in range(count)]

    def close(self) -> None:
        self._worker.close()


def compare_start(model: str, *, first: bool) -> tuple[float, int | None, int | None]:
    """Return TPOT after the longer cell over TPOT alone, and the bytes of both caches.

    `first` says whether the worker of both cells is begun first.
    """
    after, alone = Measured(model, LONG, SHORT), Measured(model, SHORT)
    try:
        for one in (after, alone) if first else (alone, after):
            one.prepare()
        ratios = []
        for turn in range(TURNS):
            order = (after, alone) if turn % 2 else (alone, after)
            tpot_ns = {one: one.measure_tpot_ns() for one in order}
            ratios.append(tpot_ns[after] / tpot_ns[alone])
        return median(ratios), after.cache_bytes, alone.cache_bytes
    finally:
        after.close()
        alone.close()


def compute_median_interval(values: list[float]) -> tuple[float, float]:
    """Return the interval of the median between two order statistics: no shape is assumed.

    With fewer than six values it is infinite: none of them is sure to have the median between.
    """
    n, outside, rank = len(values), 0.0, 0
    while (outside := outside + 2 * math.comb(n, rank) / 2**n) <= 1 - CONFIDENCE:
        rank += 1
    ordered = [-math.inf, *sorted(values), math.inf]
    return ordered[rank], ordered[-1 - rank]


def main() -> int:
    given = sys.argv[1:]
    pairs = int(given[1]) if len(given) > 1 else PAIRS
    ratios, equal = list[float](), True
    with tempfile.TemporaryDirectory() as folder:
        model = given[0] if given else "built-in"
        if model == "built-in":
            (Path(folder) / "config.json").write_text(json.dumps(BUILT_IN), encoding="utf-8")
            model = folder
        for _ in range(pairs):
            both = [compare_start(model, first=first) for first in (True, False)]
            ratios.append(geometric_mean(ratio for ratio, *_ in both))
            for ratio, after, alone in both:
                equal = equal and after == alone and after is not None
                print(f"  TPOT {ratio:.4f}, cache {after} bytes, {alone} alone", flush=True)
    low, high = compute_median_interval(ratios)
    within = abs(median(ratios) - 1) <= MOST_AWAY
    print(
        f"median {median(ratios):.4f} of {pairs} pairs, {CONFIDENCE:.0%} [{low:.4f}, {high:.4f}],"
        f" within {MOST_AWAY:.0%}; cache bytes {'equal' if equal else 'differ'}:"
        f" {'PASS' if within and equal else 'FAIL'}"
    )
    return int(not (within and equal))


if __name__ == "__main__":
    sys.exit(main())
