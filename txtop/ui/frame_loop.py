"""The background thread of the screen, which keeps a source current and builds frames from it.

It does not import Textual. A frame that was not taken yet is replaced, never queued, so that a
slow terminal sees fewer frames and not older ones.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from txtop.units import NS_PER_S

MAX_STEP_NS = NS_PER_S
IDLE_EVERY_S = 1.0


class FrameSource(Protocol):
    """A follower of one growing log or several, a player of a finished one, or this machine."""

    @property
    def finished(self) -> bool: ...

    def update(self, elapsed_ns: int) -> bool: ...


S = TypeVar("S", bound=FrameSource)
F = TypeVar("F")


class FrameLoop(Generic[S, F]):
    """A thread that keeps one source current at `fps` and leaves the newest frame in a slot.

    `open_source`, `build` and what `ask` brings run in this thread; `wake` is called from it
    when a frame lies in the empty slot, `fail` once if anything raised, and the thread then ends.
    After a frame that is `late` another is built, whether the source has changed or not.
    """

    def __init__(
        self,
        open_source: Callable[[], S],
        build: Callable[[S], F],
        *,
        wake: Callable[[], object],
        fail: Callable[[Exception], object],
        fps: float,
        late: Callable[[F], bool] = lambda _frame: False,
    ) -> None:
        self._open_source = open_source
        self._build = build
        self._wake = wake
        self._fail = fail
        self._late = late
        self._interval_s = 1 / fps
        self._asked: queue.SimpleQueue[Callable[[S], object]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._guard = threading.Lock()
        self._slot: F | None = None
        self.dropped = 0
        self.finished = False
        self.late = False
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def start(self) -> None:
        """Start the thread, unless it was started or told to end."""
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()

    def close(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._stop.set()
        self._hurry.set()

    def ask(self, change: Callable[[S], object]) -> None:
        """Change the source in this thread, and build a frame of the outcome at once."""
        self._asked.put(change)
        self._hurry.set()

    def take(self) -> F | None:
        """Take the newest frame out of the slot; `None` if it was taken already."""
        with self._guard:
            frame, self._slot = self._slot, None
        return frame

    def _put(self, frame: F) -> None:
        with self._guard:
            empty = self._slot is None
            self._slot = frame
        if empty:
            self._wake()
        else:
            self.dropped += 1

    def _run(self) -> None:
        try:
            self._loop(self._open_source())
        except Exception as error:
            if not self._stop.is_set():
                self._fail(error)

    def _loop(self, source: S) -> None:
        last_ns = time.monotonic_ns()
        built_s = 0.0
        while not self._stop.is_set():
            changed = self._run_changes(source)
            now_ns = time.monotonic_ns()
            # A process that was suspended does not play what it slept through.
            changed |= source.update(min(now_ns - last_ns, MAX_STEP_NS))
            last_ns = now_ns
            now_s = time.monotonic()
            if changed or self.late or now_s - built_s >= IDLE_EVERY_S:
                built_s = now_s
                frame = self._build(source)
                self.late = self._late(frame)
                self.finished = source.finished
                self._put(frame)
            self._hurry.wait(max(0.01, self._interval_s - (time.monotonic() - now_s)))
            self._hurry.clear()

    def _run_changes(self, source: S) -> bool:
        asked = False
        while True:
            try:
                change = self._asked.get_nowait()
            except queue.Empty:
                return asked
            change(source)
            asked = True
