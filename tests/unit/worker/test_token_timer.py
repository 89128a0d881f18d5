"""The times of tokens, and the batches in which they are reported."""

from __future__ import annotations

import time

from txtop.worker.event_writer import STEP_BATCH_NS
from txtop.worker.tasks.token_timer import TokenTimer


def test_the_prompt_is_no_token_and_gaps_sum_to_the_last_token() -> None:
    sent: list[tuple[int, list[int]]] = []
    clock = TokenTimer(lambda first, gaps: sent.append((first, gaps)), lambda: None)
    clock.start()
    clock.put("prompt")
    for _ in range(5):
        time.sleep(0.002)
        clock.put("token")
    clock.end()
    clock.flush()
    clock.flush()
    assert len(clock.gaps_ns) == 5
    assert clock.start_ns + sum(clock.gaps_ns) == clock.last_ns
    assert sent == [(0, clock.gaps_ns)]


def test_steps_travel_in_batches_of_50_to_100_ms() -> None:
    assert 50_000_000 <= STEP_BATCH_NS <= 100_000_000
    sent: list[tuple[int, list[int]]] = []
    clock = TokenTimer(lambda first, gaps: sent.append((first, gaps)), lambda: None)
    clock.start()
    clock.put("prompt")
    for _ in range(30):
        time.sleep(0.01)
        clock.put("token")
    clock.flush()
    assert [gap for _, gaps in sent for gap in gaps] == clock.gaps_ns
    assert [first for first, _ in sent] == [
        sum(len(g) for _, g in sent[:i]) for i in range(len(sent))
    ]
    assert all(sum(gaps) >= STEP_BATCH_NS for _, gaps in sent[:-1])
    # Each is sent with the first gap that fills it.
    assert len(sent) >= 2 and all(sum(gaps[:-1]) < STEP_BATCH_NS for _, gaps in sent)


def test_a_streamer_that_is_a_step_late_is_found_out() -> None:
    # In time: token k comes after pass k. Late: after pass k + 1, the last one without a pass.
    for passes, late in (([1, 2, 3], False), ([2, 3, 3], True), ([2, 3, 4], True)):
        clock = TokenTimer(None, lambda: None)
        clock.start()
        clock.put("prompt")
        for count in passes:
            clock.forwards = count
            clock.put("token")
        assert clock.late is late


def test_a_step_of_several_tokens_is_one_gap() -> None:
    class Ids:
        def __init__(self, count: int) -> None:
            self.shape = (1, count)

    clock = TokenTimer(None, lambda: None, drafts=True)
    clock.start()
    clock.put(Ids(9))
    for count in (3, 1, 4):
        clock.forwards += 1
        clock.put(Ids(count))
    assert clock.tokens == 8
    assert len(clock.gaps_ns) == 3 and not clock.late
    assert clock.start_ns + sum(clock.gaps_ns) == clock.last_ns
