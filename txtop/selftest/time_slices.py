"""Run a loop of generate() in slices of time, stopped between them."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter_ns
from typing import Protocol

from txtop.errors import RunError
from txtop.selftest.process_tree import ProcessTree
from txtop.units import NS_PER_S

SETTLE_S = 0.1
POLL_S = 0.02
TIMEOUT_S = 20.0
LOAD_TIMEOUT_S = 120.0

TimeWindow = tuple[int, int]


class TokenTimeSource(Protocol):
    """The times at which a loop's tokens were on the host."""

    def poll(self) -> list[list[int]]:
        """Return the token times of each call of generate() that ended since the last poll.

        Times are in ns of `perf_counter_ns`.

        Raises:
            RunError: the loop has ended.
        """


def select_gaps(calls: Sequence[Sequence[int]], windows: Sequence[TimeWindow]) -> list[int]:
    """Return the gaps in ns between tokens of one call that both lie in one of the windows.

    `windows` are in order of time and do not overlap.
    """
    starts = [start for start, _ in windows]
    gaps = []
    for call in calls:
        for earlier, later in pairwise(call):
            at = bisect_right(starts, earlier) - 1
            if at >= 0 and later <= windows[at][1]:
                gaps.append(later - earlier)
    return gaps


class SlicedLoop:
    """Keep the processes of `tree` stopped except during their slices.

    Times of `perf_counter_ns` are comparable between processes. A slice may end in the middle of a
    token: that gap is left out, and so are those of the first 100 ms, in which caches fill and all
    timers that came due meanwhile fire at once.
    """

    def __init__(self, tree: ProcessTree, source: TokenTimeSource) -> None:
        self._tree = tree
        self._source = source
        self._windows: list[TimeWindow] = []
        self._calls: list[list[int]] = []

    def run_for(self, seconds: float) -> None:
        """Run one slice of `seconds`."""
        self._tree.resume()
        start_ns = perf_counter_ns() + round(SETTLE_S * NS_PER_S)
        time.sleep(seconds)
        end_ns = perf_counter_ns()
        self._tree.stop()
        self._windows.append((start_ns, end_ns))
        self._calls += self._source.poll()

    def take_gaps(self) -> list[int]:
        """Return the gaps in ns of the slices since the last call.

        The loop runs on until the last call of generate() inside them has been reported.
        """
        windows, self._windows = self._windows, []
        self._advance(windows[-1][1])
        calls, self._calls = self._calls, []
        return select_gaps(calls, windows)

    def wait_loaded(self, timeout_s: float = LOAD_TIMEOUT_S) -> None:
        """Wait until the loop has reported its first call, then stop it until its first slice."""
        self._advance(0, timeout_s)

    def _advance(self, until_ns: int, timeout_s: float = TIMEOUT_S) -> None:
        self._tree.resume()
        give_up_s = time.monotonic() + timeout_s
        while not self._calls or self._calls[-1][0] < until_ns:
            if time.monotonic() > give_up_s:
                raise RunError(f"a loop said nothing within {timeout_s:.0f} s")
            time.sleep(POLL_S)
            self._calls += self._source.poll()
        self._tree.stop()
