"""Compare a terminal that takes 50 KB/s with one that takes all: the gaps of the model, and `q`.

`python tests/bench/slow_terminal.py [--pairs 10] [--rate 50]` measures one run under the full
screen, in slices of a second of which half are read slowly, then types `q` and waits for its
question.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median

from txtop.selftest import overhead
from txtop.selftest.screen_arm import ScreenArm

SLICE_S = 1.0
TURNS = "ABBAABBAAB"
AT_ONCE = 512
QUESTION = b"keep running in the background"
PATIENCE_S = 10.0


class Slow(ScreenArm):
    """A screen whose terminal takes `rate` bytes/s while that is set."""

    rate: float | None = None
    taken = 0
    _newest = b""

    def _drain(self) -> None:
        with suppress(OSError):
            while data := os.read(self._terminal, AT_ONCE if self.rate else 65536):
                self.taken += len(data)
                self._last_output = data
                self._newest = (self._newest + data)[-65536:]
                if self.rate:
                    time.sleep(len(data) / self.rate)

    def wait_question_s(self) -> float:
        """Return the seconds from typing `q` until its question is in the terminal's input."""
        self._tree.resume()
        time.sleep(1.0)
        self._newest = b""
        began = time.monotonic()
        os.write(self._terminal, b"q")
        while QUESTION not in self._newest:
            if time.monotonic() - began > PATIENCE_S:
                return float("inf")
            time.sleep(0.005)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=50.0, help="KB/s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="txtop-slow-") as folder:
        config = Path(folder) / "model" / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps(overhead.MODEL), encoding="utf-8")
        screened = Slow(overhead.build_watched_arguments(config.parent), Path(folder))
        try:
            screened.wait_loaded()
            ratios = []
            for _ in range(options.pairs):
                gaps: dict[str, list[int]] = {"A": [], "B": []}
                taken = dict.fromkeys(gaps, 0)
                for turn in TURNS:
                    screened.rate = options.rate * 1e3 if turn == "B" else None
                    before = screened.taken
                    screened.run_for(SLICE_S)
                    gaps[turn] += screened.take_gaps()
                    taken[turn] += screened.taken - before
                ratios.append(fmean(gaps["B"]) / fmean(gaps["A"]))
                for turn, what in (
                    ("A", "all it writes"),
                    ("B", f"{options.rate:.0f} KB/s at most"),
                ):
                    rate = taken[turn] / SLICE_S / TURNS.count(turn) / 1e3
                    print(
                        f"{what:<18} {fmean(gaps[turn]) / 1e6:7.3f} ms per token, {rate:5.1f} KB/s"
                    )
            print(f"slow / fast: median {median(ratios):.4f} of {len(ratios)} pairs")
            screened.rate = options.rate * 1e3
            print(f"from q to its question: {screened.wait_question_s():.2f} s")
        finally:
            screened.rate = None
            screened.close()


if __name__ == "__main__":
    main()
