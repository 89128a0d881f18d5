"""The intervals at which the sampler reads its devices."""

from __future__ import annotations

from txtop.protocol.events import Telemetry
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sampler.sampler import Sampler


def test_what_changes_slowly_is_read_each_second_whatever_the_ticks_add_up_to() -> None:
    samples: list[Telemetry] = []

    class Kept:
        def send(self, event: Telemetry) -> None:
            samples.append(event)

    sampler = Sampler(Kept(), None, 0.2, WatchedProcesses())  # type: ignore[arg-type]
    due = 3333.3
    for _ in range(26):
        sampler._tick(due)
        due += 0.2
    slow = [i for i, event in enumerate(samples) if "core_0_percent" in event.values]
    assert slow == [0, 5, 10, 15, 20, 25]
