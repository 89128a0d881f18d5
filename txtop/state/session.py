"""The state of a session: the source of every screen, table and export."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.ab import ABTest
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from txtop.state.race import RaceState

HOST = "host"
MAX_NS = 2**63 - 1

INVALID_OUTPUT = "is INVALID: NaN or Inf in its output"


@dataclass
class WatchedDevice:
    """The series of one watched device.

    Each series is a pair of times in ns on the session's clock and values, NaN where unread.
    `facts` are a GPU's settings by name, as last read.
    """

    label: str = ""
    series: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    foreign: tuple[events.ForeignProcess, ...] = ()

    def last(self, name: str) -> float | None:
        """Return the latest value of a series, or None if there is none or it could not be read."""
        if name not in self.series:
            return None
        value = self.series[name][1][-1]
        return None if math.isnan(value) else value


@dataclass
class LogLine:
    """A line of the session's log, with its time on the session's clock.

    With `explains` it says what the explanation of `cell` is at.
    """

    at_ns: int
    text: str
    level: str = "info"
    cell: str | None = None
    explains: bool = False


@dataclass
class SessionState:
    """The state of a session after any number of events.

    `clock_ns` is the session's own time: monotonic, without the hours between two segments.
    `warmup_cut` recomputes figures with that many warm-up iterations. `current` is the cell with
    the latest event among those `working`: arms of an A/B and candidates of a race are at work
    together. Cells side by side in several places do not take turns: there it stays the same one
    until that is over. `peaks` are keyed by device and number of threads, `fidelity` and the
    session times `compared_at_ns` at which it came by cell and reference, `questions` by task,
    `answers` and the `answered` that ends them by cell and task, of which those of `answering` go
    on, `device_times`, `explanations` and the `probes` of a search by cell, `isolation` by place,
    `traces` by cell and phase. `isolating` is the check of the places while it goes on, whose
    rounds began at `isolating_from_ns`. Idle time ends at `first_cell_ns` on the host and at
    `first_to_device_ns` on a GPU, both 0 until known: the start of the first cell or worker, the
    first weights sent, or the first comparison of outputs or answer.
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
    ab_test: ABTest | None = None
    race: RaceState | None = None
    probes: dict[str, events.Probe] = field(default_factory=dict)
    isolation: dict[str, events.Isolation] = field(default_factory=dict)
    isolating: events.IsolationProgress | None = None
    isolating_from_ns: int = 0
    fidelity: dict[tuple[str, str], events.Fidelity] = field(default_factory=dict)
    comparing: events.FidelityProgress | None = None
    comparing_from_ns: int = 0
    compared_at_ns: dict[tuple[str, str], int] = field(default_factory=dict)
    questions: dict[str, tuple[events.TaskQuestions, ...]] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[events.TaskAnswers, ...]] = field(default_factory=dict)
    answered: dict[tuple[str, str], events.TaskAnswered] = field(default_factory=dict)
    answering: tuple[str, str] | None = None
    device_times: dict[str, events.DeviceTime] = field(default_factory=dict)
    explanations: dict[str, events.Explanation] = field(default_factory=dict)
    traces: dict[tuple[str, str], events.TraceSlices] = field(default_factory=dict)
    paused: bool = False
    ended: events.SessionEnded | None = None
    clock_ns: int = 0
    last_seq: int = 0
    events_folded: int = 0
    boot_ids: list[str] = field(default_factory=list)
    first_cell_ns: int = 0
    first_to_device_ns: int = 0
    warmup_cut: int | None = None
    # Session time and the producer's clock at the start of the current segment.
    _base_ns: int = 0
    _origin_ns: int | None = None

    @property
    def plan(self) -> Plan:
        return self.header.plan if self.header else Plan(cells=())

    def find_family(self, name: str) -> str | None:
        """Return the family of a cell: as loaded, else as recorded before; None if unknown."""
        own = self.cells[name]
        same = (c.family for c in self.cells.values() if c.cell.model == own.cell.model)
        loaded = own.family or next(filter(None, same), None)
        if loaded or self.header is None or self.header.expected is msgspec.UNSET:
            return loaded
        return self.header.expected.get(name, events.Expected()).family

    def word_departure(self, name: str) -> str:
        """Return in few words why a candidate of a race left it; empty for every other cell."""
        return self.race.word_departure(name) if self.race is not None else ""

    def word_ending(self, cell: CellState) -> str:
        """Return in few words how a cell ended: why it left its race, else its status."""
        return self.word_departure(cell.cell.id) or cell.status

    def list_accepted(self) -> list[Cell]:
        """Return the cells that were not refused: others are compared with one of these."""
        return [cell.cell for cell in self.cells.values() if cell.rejected is None]

    def output_of(self, name: str, against: str | None = None) -> events.Fidelity | None:
        """Return the comparison of a cell's output with its reference's, or None if there is none.

        With `against` it is the comparison of those two cells, whichever of them was the reference.
        """
        if against is not None:
            return self.fidelity.get((name, against)) or self.fidelity.get((against, name))
        if name not in self.cells:
            return None
        target = self.cells[name].cell
        return next(
            (
                fidelity
                for (cell, _), fidelity in self.fidelity.items()
                if references.has_same_output(self.cells[cell].cell, target)
            ),
            None,
        )

    def has_random_weights(self, name: str) -> bool:
        """Return whether the weights of a cell are random, as it, or another of its model, tells.

        They are where they were asked for, loaded, or compared as such.
        """
        own = self.cells.get(name)
        if own is None:
            return False
        if own.load is not None:
            return own.load.weights == "random"

        def is_alike(other: str) -> bool:
            cell = self.cells[other].cell
            return (cell.model, cell.weights) == (own.cell.model, own.cell.weights)

        return (
            own.cell.weights == "random"
            or any(e.weights == "random" and is_alike(e.cell) for e in self.loads.values())
            or any(
                e.weights == "random" and not e.failed and all(map(is_alike, pair))
                for pair, e in self.fidelity.items()
            )
        )

    def device_time_of(self, name: str) -> events.DeviceTime | None:
        """Return the device time of a cell, or that of one with the same step, or None.

        Other lengths are another prefill, and so is another length of an encoder.
        """
        if name in self.device_times:
            return self.device_times[name]
        state = self.cells[name]
        for other, event in self.device_times.items():
            cell = self.cells[other].cell
            same_prompt = cell.sequence_length == state.cell.sequence_length
            if not references.has_same_step(cell, state.cell) or (
                state.family == "encoder" and not same_prompt
            ):
                continue
            return event if same_prompt else msgspec.structs.replace(event, prefill=None)
        return None

    @property
    def is_done(self) -> bool:
        """True if the run came to its own end: neither stopped, nor cut off, nor running."""
        return self.ended is not None and self.ended.reason == "done"

    @property
    def failed(self) -> int:
        """The number of cells to look at: failed, out of memory, refused, timed out, INVALID."""
        return sum(c.status in FAILED_STATUSES or c.invalid > 0 for c in self.cells.values())

    def sum_measured_s(self) -> float:
        """Return the seconds that the measured iterations of all cells took together."""
        measured_ns = sum(
            ns
            for cell in self.cells.values()
            for ns, role in zip(cell.samples.e2e_ns, cell.samples.role, strict=True)
            if role == "measured"
        )
        return measured_ns / NS_PER_S

    def gpu(self, device_id: str | None) -> str | None:
        """Return the watched device that a worker's `device_id` refers to, or None.

        The sampler names a part of a GPU `MIG-` where the worker may say `GPU-`.
        """
        if device_id is None:
            return None
        part = device_id.replace("GPU-", "MIG-", 1)
        return next((name for name in (device_id, part) if name in self.devices), None)

    @property
    def cores(self) -> int:
        """The logical cores of the machine, 1 if they are not known."""
        return (self.header.machine.cores_logical if self.header else 0) or 1

    def peaks_of(self, load: events.ModelLoaded) -> events.DevicePeaks | None:
        """Return the peaks of a load's device with its number of threads, or None if unknown."""
        return self.peaks.get((load.device_id or load.device_name, load.threads))

    def clock_at(self, event: AnyEvent) -> int:
        """Return what `clock_ns` will be once `event` is folded.

        It never goes back, whichever producer is behind.
        """
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

    def say(
        self,
        text: str,
        level: str = "info",
        cell: str | None = None,
        *,
        explains: bool = False,
    ) -> None:
        """Append a line to the log, at the session's time."""
        self.log.append(LogLine(self.clock_ns, text, level, cell, explains))

    def list_measured_now(self) -> set[str]:
        """Return the cells that are measured at this moment: the current one, or one in each place.

        Arms of an A/B and candidates of a race wait for their turns.
        """
        if self.plan.places:
            return self.working
        return {self.current} if self.current is not None else set()

    @property
    def takes_turns(self) -> bool:
        """True if blocks of cells take turns: those of an A/B or of a race."""
        return self.ab_test is not None or self.race is not None

    def follow(self, name: str) -> None:
        """Make the cell `name`, which is at work, the current one, unless another place has it."""
        if self.takes_turns or self.current not in self.working:
            self.current = name

    @property
    def keeps_measured(self) -> bool:
        """True if what was measured of a cell stays, whichever run or worker goes on with it."""
        return self.race is not None or (self.ab_test is not None and self.plan.starts > 1)

    def find_next_current(self) -> str | None:
        """Return the cell that follows the current one: of other places the first begun."""
        beside = self.working if self.plan.places else ()
        return min(beside, key=lambda name: self.cells[name].started_at_ns, default=None)

    def withdraw(self, name: str, why: str) -> None:
        """Stop comparing the arm `name` of an A/B or a race, for the reason `why`."""
        if self.ab_test is not None and name in self.cells:
            self.ab_test.withdraw(name, why)
        if self.race is not None:
            self.race.lose(name, why)


_PROCESS = "process:"


def list_gpus(session: SessionState) -> list[tuple[str, WatchedDevice]]:
    """Return the GPUs among the watched devices, in the order in which they were first seen."""
    return [
        (name, device)
        for name, device in session.devices.items()
        if name != HOST and not name.startswith(_PROCESS)
    ]


def merge_peaks(before: events.DevicePeaks, latest: events.DevicePeaks) -> events.DevicePeaks:
    """Return the higher of two workers' peaks of one device.

    A probe is only ever too low, because other work on the device slows it.
    """
    flops = before.flops_per_s | latest.flops_per_s
    for dtype in before.flops_per_s.keys() & latest.flops_per_s.keys():
        flops[dtype] = max(before.flops_per_s[dtype], latest.flops_per_s[dtype])
    bandwidth = max(before.bandwidth_bytes_per_s, latest.bandwidth_bytes_per_s)
    return msgspec.structs.replace(latest, bandwidth_bytes_per_s=bandwidth, flops_per_s=flops)
