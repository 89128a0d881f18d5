"""Writers of invented sessions that are too large to keep in memory, event by event."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from support import streams
from txtop import stats
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import codec, events

TELEMETRY_NS = 200_000_000
HOST = ("cpu_percent", "memory_used_bytes", "memory_total_bytes", "swap_used_bytes", "load_1")
GPU = (
    "utilization",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_w",
    "energy_j",
    "temperature_c",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "foreign_processes",
)
PROCESSES = ("process:runner", "process:sampler", "process:screen", "process:worker:1")


class Recorded:
    """A session in a file. `devices` are sampled five times a second as `at_ns` moves on, by the
    names of their values; values that are not of a process swing between 10 and 90.
    """

    def __init__(self, path: Path, plan: Plan, devices: Mapping[str, Sequence[str]]) -> None:
        head = streams.stream(Plan(cells=plan.cells))[:2]
        assert isinstance(head[0], events.SessionHeader)
        head[0].plan = plan
        self.at_ns = self._watched_ns = head[0].t_ns
        self.count = 0
        self.draw = random.Random(1)
        self._devices = devices
        self._file = path.open("wb")
        for event in head:
            self.put(event)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def put(self, event: events.AnyEvent) -> None:
        self.count += 1
        event.seq = self.count
        self._file.write(codec.encode_event(event))

    def go_on(self, ns: int) -> None:
        """Let `ns` pass under the sampler."""
        self.at_ns += ns
        while self._watched_ns + TELEMETRY_NS <= self.at_ns:
            self._watched_ns += TELEMETRY_NS
            for device, names in self._devices.items():
                values = dict(self._read(name) for name in names)
                self.put(
                    events.Telemetry(
                        src="sampler", t_ns=self._watched_ns, device=device, values=values
                    )
                )

    def _read(self, name: str) -> tuple[str, float]:
        if name == "cpu_s":
            return name, self._watched_ns / 1e10
        if name == "rss_bytes":
            return name, 1e9
        if name == "throttle_reasons":
            return name, 0.0
        return name, 50 + 40 * math.sin(self._watched_ns / 1e11) + self.draw.random()

    def start(self, cell: Cell, load_ns: int, **facts: object) -> None:
        """Load the cell and begin to iterate."""
        self.put(events.CellStarted(t_ns=self.at_ns, cell=cell.id, worker=f"worker:{cell.id}"))
        self.go_on(load_ns)
        self.put(streams.load(self.at_ns, cell.id, **facts))
        self.put(events.Workload(t_ns=self.at_ns, cell=cell.id, inputs_sha256="ab", threads=1))

    def iterate(self, cell: Cell, index: int, warmup: int, gaps: list[int], batch: int) -> None:
        """Add one iteration, its tokens reported `batch` at a time; the first `warmup` are not
        measured.
        """
        role: events.Role = "first" if index == 0 else "warmup" if index < warmup else "measured"
        start = self.at_ns
        for first in range(0, len(gaps), batch):
            some = gaps[first : first + batch]
            self.go_on(sum(some))
            self.put(
                events.TokenTimings(
                    src="worker:1",
                    t_ns=self.at_ns,
                    cell=cell.id,
                    index=index,
                    first=first,
                    gaps_ns=some,
                )
            )
        self.put(
            events.Iteration(
                src="worker:1",
                t_ns=self.at_ns,
                cell=cell.id,
                index=index,
                role=role,
                start_ns=start,
                e2e_ns=self.at_ns - start,
                ttft_ns=gaps[0],
                tokens=len(gaps),
            )
        )

    def finish(self, cell: Cell, stopped_by: str) -> None:
        self.put(events.Memory(t_ns=self.at_ns, cell=cell.id, host_bytes=1 << 30))
        self.put(
            events.CellFinished(t_ns=self.at_ns, cell=cell.id, status="ok", stopped_by=stopped_by)
        )

    def end(self) -> None:
        self.put(
            events.SessionEnded(
                t_ns=self.at_ns,
                reason="done",
                wall_s=1.7e9,
                statistics_version=stats.STATISTICS_VERSION,
                sha256="0",
            )
        )
