"""The frame loop: frames not taken are replaced; requests do not wait for a runner that hangs."""

from __future__ import annotations

import threading
import time

import pytest

from support.waiting import wait_until
from txtop.protocol.events import AnyEvent
from txtop.state.session import SessionState
from txtop.ui import frame_loop
from txtop.ui.frame_loop import FrameLoop
from txtop.ui.runner_link import RunnerLink


class Counter:
    """A source on which something happens at every update."""

    def __init__(self) -> None:
        self.state = SessionState()
        self.finished = False
        self.count = 0
        self.longest_ns = 0

    def update(self, elapsed_ns: int) -> bool:
        self.count += 1
        self.longest_ns = max(self.longest_ns, elapsed_ns)
        return True


def test_a_loop_that_was_closed_first_opens_no_source() -> None:
    loop: FrameLoop[Counter, int] = FrameLoop(
        lambda: pytest.fail("opened"),
        lambda s: s.count,
        wake=lambda: None,
        fail=lambda error: pytest.fail(str(error)),
        fps=100,
    )
    loop.close()
    threads = threading.active_count()
    loop.start()
    assert threading.active_count() == threads


def wait_for_the_end() -> None:
    """Wait until no loop is left that builds frames."""
    wait_until(lambda: "frames" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.fault(35)
def test_frames_that_are_not_taken_are_dropped_and_the_newest_stays() -> None:
    woken: list[int] = []
    source = Counter()
    loop: FrameLoop[Counter, int] = FrameLoop(
        lambda: source,
        lambda s: s.count,
        wake=lambda: woken.append(source.count),
        fail=lambda error: pytest.fail(str(error)),
        fps=100,
    )
    loop.start()
    wait_until(lambda: loop.dropped >= 10)
    loop.close()
    wait_for_the_end()
    # The first is announced, and replaced until somebody takes it.
    assert woken == [1] and loop.take() == source.count > 10


def test_a_frame_that_is_late_is_followed_by_another_though_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_loop, "IDLE_EVERY_S", 3600.0)
    source = Counter()
    source.update = lambda _elapsed_ns: False  # type: ignore[method-assign]
    built: list[int] = []

    def build(_source: Counter) -> int:
        built.append(1)
        return len(built)

    loop: FrameLoop[Counter, int] = FrameLoop(
        lambda: source,
        build,
        wake=lambda: None,
        fail=lambda error: pytest.fail(str(error)),
        fps=100,
        late=lambda frame: frame < 4,
    )
    loop.start()
    wait_until(lambda: len(built) >= 4 and not loop.late)
    # Several times as long as the loop waits for a frame that is late.
    time.sleep(0.2)
    loop.close()
    assert len(built) == 4


def test_a_source_that_cannot_be_opened_is_told_once() -> None:
    failed: list[Exception] = []

    def refuse() -> Counter:
        raise OSError("no")

    loop: FrameLoop[Counter, int] = FrameLoop(
        refuse, lambda s: s.count, wake=lambda: None, fail=failed.append, fps=100
    )
    loop.start()
    wait_for_the_end()
    assert [str(error) for error in failed] == ["no"]


class Hanging:
    """A runner that answers no more."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def status(self) -> None:
        self.free.wait(60)

    def send(self, action: str, cell: str = "") -> bool:
        self.free.wait(60)
        return False

    def tail(self, after: int) -> list[AnyEvent]:
        return []


def test_a_runner_that_hangs_delays_nobody() -> None:
    runner = Hanging()
    refused: list[str] = []
    remote = RunnerLink(runner, refused.append)
    remote.send("pause")
    remote.send("stop")
    remote.close()
    remote.join(0.1)
    assert refused == [] and not runner.free.is_set(), "nobody waited for the runner"
    runner.free.set()
    remote.join(60)
    assert refused == ["pause", "stop"]
