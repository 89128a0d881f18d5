"""The state of a session: everything that screens, tables and exports are made from."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

from txtop.plan import references
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.ab import ABTest
from txtop.state.cell import CellState

HOST = "host"
MAX_NS = 2**63 - 1


@dataclass
class WatchedDevice:
    """The series of one watched device: session clock in ns beside values, NaN where unread."""

    label: str = ""
    series: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    foreign: tuple[events.ForeignProcess, ...] = ()

    def last(self, name: str) -> float | None:
        if name not in self.series:
            return None
        value = self.series[name][1][-1]
        return None if math.isnan(value) else value


@dataclass
class LogLine:
    at_ns: int
    text: str
    level: str = "info"
    cell: str | None = None


@dataclass
class SessionState:
    """Everything a screen, a table or an export is made from.

    `clock_ns` is the session's own time: monotonic, without the hours between two segments.
    `warmup_cut` asks what the figures would be with that many warm-up iterations. `current` is the
    cell that was heard of last among those `working`: arms of an A/B are at work together. `peaks`
    are those of a device with so many threads.
    """

    header: events.SessionHeader | None = None
    cells: dict[str, CellState] = field(default_factory=dict)
    devices: dict[str, WatchedDevice] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    markers: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[tuple[int, events.Gap]] = field(default_factory=list)
    loads: dict[str, events.ModelLoaded] = field(default_factory=dict)
    peaks: dict[tuple[str, int], events.DevicePeaks] = field(default_factory=dict)
    current: str | None = None
    working: set[str] = field(default_factory=set)
    versus: ABTest | None = None
    fidelity: dict[tuple[str, str], events.Fidelity] = field(default_factory=dict)
    comparing: events.FidelityProgress | None = None
    paused: bool = False
    ended: events.SessionEnded | None = None
    clock_ns: int = 0
    last_seq: int = 0
    events_folded: int = 0
    boot_ids: list[str] = field(default_factory=list)
    first_cell_ns: int = 0
    first_to_device_ns: int = 0
    warmup_cut: int | None = None
    _base_ns: int = 0
    _origin_ns: int | None = None

    @property
    def plan(self) -> Plan:
        return self.header.plan if self.header else Plan(cells=())

    def output_of(self, name: str, against: str | None = None) -> events.Fidelity | None:
        """How far the output of a cell is from that of its reference, or of the arm `against`,
        whichever of the two was the reference; null where that was not measured."""
        if against is not None:
            return self.fidelity.get((name, against)) or self.fidelity.get((against, name))
        if name not in self.cells:
            return None
        mine = self.cells[name].cell
        return next(
            (
                found
                for (cell, _), found in self.fidelity.items()
                if references.has_same_output(self.cells[cell].cell, mine)
            ),
            None,
        )

    @property
    def failed(self) -> int:
        """Cells that a user has to look at: failed, out of memory, refused, timed out, INVALID."""
        bad = ("oom", "failed", "timeout", "rejected")
        return sum(c.status in bad or c.invalid > 0 for c in self.cells.values())

    def gpu(self, device_id: str | None) -> str | None:
        """The watched device that a worker's `device_id` means: a part of a GPU has a name of its
        own kind, `MIG-` in place of `GPU-`."""
        if device_id is None:
            return None
        part = device_id.replace("GPU-", "MIG-", 1)
        return next((name for name in (device_id, part) if name in self.devices), None)

    def peaks_of(self, load: events.ModelLoaded) -> events.DevicePeaks | None:
        """What the device of a load can do at most with its threads; null where nobody told."""
        return self.peaks.get((load.device_id or load.device_name, load.threads))

    def clock_at(self, event: AnyEvent) -> int:
        """What `clock_ns` will be once `event` is folded; it never goes back, whichever producer
        is behind."""
        if self._origin_ns is None or type(event) is events.Segment:
            return self.clock_ns
        now_ns = self._base_ns + event.t_ns - self._origin_ns
        if now_ns <= self.clock_ns:
            return self.clock_ns
        return now_ns if now_ns < MAX_NS else MAX_NS

    def advance(self, event: AnyEvent) -> None:
        """Move the session's clock to `event`; a segment starts a new origin."""
        self.clock_ns = self.clock_at(event)
        if self._origin_ns is None or type(event) is events.Segment:
            self._base_ns = self.clock_ns
            self._origin_ns = event.t_ns

    def say(self, text: str, level: str = "info", cell: str | None = None) -> None:
        self.log.append(LogLine(self.clock_ns, text, level, cell))

    def withdraw(self, name: str, why: str) -> None:
        if self.versus is not None and name in self.cells:
            self.versus.withdraw(name, why)


_PROCESS = "process:"


def list_gpus(session: SessionState) -> list[tuple[str, WatchedDevice]]:
    """The GPUs among the watched devices, in the order in which they were first seen."""
    return [
        (name, device)
        for name, device in session.devices.items()
        if name != HOST and not name.startswith(_PROCESS)
    ]
