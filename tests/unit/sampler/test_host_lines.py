"""Thin the lines of the host, and judge blocks by those that are left as by all readings."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable

import pytest

from support import streams
from txtop.analysis.contention import HostReadings, find_contention
from txtop.protocol.events import ForeignProcess, Telemetry
from txtop.sampler.contention import ContentionSensor
from txtop.sampler.gpu_rates import HOST, GpuRates
from txtop.sampler.host_lines import HostLines
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sampler.sampler import Sampler
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

Values = dict[str, float | None]
CALM: Values = {
    "others_cpu_s": 1.0,
    "steal_s": 7.0,
    "waited_percent": 0.5,
    "pressure_s": 3.0,
    "swapped_in_bytes": 4096.0,
}
# The lines of a second as they were when every GPU was read at every tick.
BEFORE = {"eight GPUs": 8 * 5, "host": 5, "four processes": 4}


class MadeHost:
    """A host whose ticks have the given values."""

    label = "CPU"

    def __init__(self, ticks: list[Values], names: dict[int, tuple[ForeignProcess, ...]]) -> None:
        self._ticks = iter(enumerate(ticks))
        self._names = names
        self._tick = 0

    def read_disturbances(self) -> Values:
        self._tick, values = next(self._ticks)
        return values

    def read_names(self, values: Values) -> tuple[ForeignProcess, ...] | None:
        return self._names.get(self._tick)

    def values(self) -> Values:
        return {"cpu_percent": 10.0 * self._tick}

    def slow_values(self) -> Values:
        return {"core_0_percent": 1.0}


def read_lines(
    ticks: list[Values],
    on: str = "GPU-1",
    names: dict[int, tuple[ForeignProcess, ...]] | None = None,
) -> list[list[Telemetry]]:
    """Return the lines of each tick, of which every fifth is due."""
    rates = GpuRates()
    rates.use(on)
    lines = HostLines(MadeHost(ticks, names or {}), rates)  # type: ignore[arg-type]
    return [lines.read(due=tick % 5 == 0) for tick in range(len(ticks))]


def count(lines: list[list[Telemetry]]) -> list[int]:
    return [len(of_a_tick) for of_a_tick in lines]


def test_every_tick_is_a_line_while_the_cpu_computes() -> None:
    lines = read_lines([CALM] * 12, on=HOST)
    assert count(lines) == [1] * 12
    assert all(line.values.keys() >= {"cpu_percent", *CALM} for (line,) in lines)


def test_of_a_calm_host_beside_a_gpu_one_line_a_second_is_left() -> None:
    lines = read_lines([{**CALM, "waited_percent": tick / 10} for tick in range(26)])
    # Nothing is known to be calm before the first tick, and what follows such a one is written.
    assert count(lines) == [1, 1, 0, 0, 0, *[1, 0, 0, 0, 0] * 4, 1]
    (line,) = lines[10]
    assert line.values["waited_percent"] == pytest.approx(0.8)  # the mean of ticks 6 to 10
    assert line.values["cpu_percent"] == 100.0 and "core_0_percent" in line.values


@pytest.mark.parametrize(
    ("name", "value"), [("waited_percent", 3.0), ("waited_percent", None), ("steal_s", 7.02),
                        ("swapped_in_bytes", 8192.0)],
)  # fmt: skip
def test_around_a_disturbance_every_tick_is_a_line(name: str, value: float | None) -> None:
    rises = name != "waited_percent"
    ticks = [
        {**CALM, name: value} if tick == 8 or (rises and tick > 8) else CALM for tick in range(15)
    ]
    lines = read_lines(ticks)
    assert count(lines)[5:] == [1, 0, 0, 3, 1, 1, 0, 0, 0, 0]
    assert [set(line.values) for line in lines[8]][:2] == [set(CALM)] * 2
    assert lines[8][-1].values[name] == value and lines[8][-1].values["cpu_percent"] == 80.0


def test_the_names_of_others_are_never_held_back() -> None:
    others = (ForeignProcess(pid=7, name="make", cores=1.5),)
    lines = read_lines([CALM] * 10, names={7: others, 9: ()})
    assert [line.foreign for line in (*lines[7], *lines[9])] == [others, ()]
    assert count(lines)[5:] == [1, 0, 1, 0, 1]


def make_ticks(seed: int) -> list[Values]:
    """Make two minutes of a machine that is calm, with others that come for 0.2 s to 2 s."""
    draw, ticks, left, size = random.Random(seed), list[Values](), 0, 0.0
    others_s = steal_s = 0.0
    for _ in range(600):
        if not left and draw.random() < 0.03:
            left, size = draw.randint(1, 10), draw.uniform(0.05, 1.0)
        busy, left = left > 0, max(0, left - 1)
        others_s += 0.2 * (draw.uniform(0.5, 2.0) * size if busy else draw.uniform(0.0, 0.05))
        steal_s += draw.choice((0.0, 0.01)) + (draw.uniform(0.0, 0.15) * size if busy else 0.0)
        ticks.append({
            "others_cpu_s": others_s, "steal_s": round(steal_s, 2), "pressure_s": 0.0,
            "waited_percent": 60 * size if busy else draw.uniform(0.0, 2.0),
            "swapped_in_bytes": 0.0,
        })  # fmt: skip
    return ticks


def find_disturbed(ticks: list[Values], on: str, block_s: float) -> list[set[str]]:
    """Judge blocks one after another by the lines of the host, as of a cell on a GPU."""
    header, segment = streams.stream()[:2]
    session: SessionState = fold_all([header, segment])
    # Which tick a line is of: its values are those of no other.
    at = {values["others_cpu_s"]: tick for tick, values in enumerate(ticks)}
    for line in itertools.chain(*read_lines(ticks, on)):
        line.t_ns = header.t_ns + at[line.values["others_cpu_s"]] * NS_PER_S // 5
        fold(session, line)
    host = HostReadings.from_session(session, computes=False)
    assert host is not None
    starts = range(NS_PER_S, 118 * NS_PER_S, round(block_s * NS_PER_S))
    return [
        {one.kind for one in find_contention(host, 0, start, start + round(block_s * NS_PER_S))}
        for start in starts
    ]


@pytest.mark.parametrize("block_s", [0.1, 0.37, 1.0])
def test_blocks_are_judged_as_by_all_readings(block_s: float) -> None:
    differing = blocks = disturbed = 0
    for seed in range(5):
        ticks = make_ticks(seed)
        every, written = (find_disturbed(ticks, on, block_s) for on in (HOST, "GPU-1"))
        blocks += len(every)
        disturbed += sum(map(bool, every))
        differing += sum(a != b for a, b in zip(every, written, strict=True))
    # Those that differ lie at a threshold: 0.147 cores of others in place of 0.153, say.
    assert disturbed > blocks / 20 and differing <= disturbed / 100


def count_lines(monkeypatch: pytest.MonkeyPatch, seconds: int) -> int:
    """Count the lines of a calm machine with eight GPUs, one in use, and a run's processes."""
    monkeypatch.setattr(ContentionSensor, "values", lambda *_: CALM)
    monkeypatch.setattr(ContentionSensor, "read_names", lambda *_: None)
    kept: list[Telemetry] = []
    watched = WatchedProcesses()
    for label in ("runner", "sampler", "screen", "worker:1"):
        watched.add(f"{label}={os.getpid()}")

    class Output:
        send: Callable[[Telemetry], None] = kept.append

    sampler = Sampler(Output(), None, 0.2, watched)  # type: ignore[arg-type]
    now = [100.0]
    gpus = GpuRates(lambda: now[0])
    for rates in (gpus, sampler._rates):
        rates.use("GPU-0")
    lines = 0
    for _ in range(5 * seconds):
        sampler._tick(now[0])
        lines += len(gpus.find_due([f"GPU-{i}" for i in range(8)]))
        now[0] += 0.2
    return lines + len(kept)


def test_with_one_of_eight_gpus_in_use_a_fifth_of_the_lines_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, whole = (count_lines(monkeypatch, seconds) for seconds in (30, 90))
    a_second = (whole - first) / 60
    assert a_second <= sum(BEFORE.values()) / 5, a_second
    # GPU 0 five times, the others every 5 s; the host once; the processes every 2 s.
    assert a_second == pytest.approx(5 + 7 / 5 + 1 + 4 / 2, abs=0.1)
